"""Signals in groups: of each, what it says and the compiled loop that computes it."""
