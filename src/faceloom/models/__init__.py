"""Weight files: the catalog that pins them, the cache that holds them, and their conversion."""
