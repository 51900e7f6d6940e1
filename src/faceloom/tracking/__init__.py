"""Tracks, shots and what follows from them; pure: numbers in, numbers out."""
