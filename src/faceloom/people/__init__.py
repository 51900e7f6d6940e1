"""Whose faces are whose: what a face says of that, and how sure that is."""
