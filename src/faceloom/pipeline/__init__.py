"""The pipeline: what happens to a frame, step by step."""
