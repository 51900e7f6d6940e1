"""Results: reading what a result folder holds, for programs, notebooks and files of other programs."""
