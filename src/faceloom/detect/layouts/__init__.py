"""How detectors answer: one family of networks a file; `layout` has what they share, `table` which there are."""
