"""The store: one SQLite file that holds everything found, and what is written from it."""
