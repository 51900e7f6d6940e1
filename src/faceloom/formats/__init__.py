"""Formats in and out, one a file: `record` has their contract, `registry` finds them (docs/plugins.md)."""
