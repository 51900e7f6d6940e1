"""Running a plan: the pipeline of one phase, the worker, its process, and the supervisor of them all."""
