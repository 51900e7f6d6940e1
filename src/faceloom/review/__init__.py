"""Reviewing: a page on this machine on which people look at what was found and put it right, and reports of it."""
