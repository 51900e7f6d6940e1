"""Which columns of a face are steady in the table of that name; by it the view and what writes it agree."""

STEADY = ("x0", "y0", "x1", "y1", "keypoints", "landmarks", "affine")
