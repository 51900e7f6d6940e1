"""A worker: one process, or one object in the caller's process, that takes chunks through a plan on one device."""
