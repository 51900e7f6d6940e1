"""The solver: which stages share memory, and how many items they take at once. Numbers go in, a `Plan` comes out."""
