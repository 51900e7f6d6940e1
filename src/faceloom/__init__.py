"""faceloom."""
