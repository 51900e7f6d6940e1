"""Plans: which stages share memory, how many items they take at once. Numbers in, a `Plan` out."""
