"""Picking and sorting: which faces of a result folder to take, in which order, and how they are laid out."""
