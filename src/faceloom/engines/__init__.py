"""Engines: what runs networks. The contract of an engine, and one engine a file."""
