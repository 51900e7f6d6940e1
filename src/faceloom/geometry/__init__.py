"""Boxes, affine maps, landmark schemes and chips: arithmetic on arrays, no files and no state."""
