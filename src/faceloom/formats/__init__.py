"""Formats in and out: one a file. `record` has the contract, `registry` the list, docs/formats.md what each loses."""
