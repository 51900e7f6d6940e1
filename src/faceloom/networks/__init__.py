"""Networks as PyTorch modules, for checkpoints that come without a graph: one a file, named as its authors named it."""
