"""What runs networks: the contract of an engine, and one engine a file."""
