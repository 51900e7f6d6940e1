"""Supervisor: takes up inputs, plans, hands out chunks, writes the store; it sees no pixel."""
