"""What a package of somebody else may add to faceloom."""
