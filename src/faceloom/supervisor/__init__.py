"""The supervisor lists the inputs, plans, deals out chunks and writes the store. It sees no pixel."""
