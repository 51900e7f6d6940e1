"""What a caller may ask for: every option declared once, for the command line, for `faceloom.toml` and for Python.

An option is a field of a typed dictionary, `Annotated` with an `Option`. Type checkers know the keywords by the
dictionary; flags, keys of the file, checks at run time, docstrings and docs/options.md are made of the same fields.
"""
