"""Worker: one process or object that drives a device through chunks."""
