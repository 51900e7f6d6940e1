"""One script a peer, as its users would write it. Each runs in the peer's own environment, without faceloom."""
