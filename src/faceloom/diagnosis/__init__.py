"""Diagnosis: whether this machine can do the work, as `faceloom doctor` tells it."""
