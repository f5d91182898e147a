"""What the events add up to, in columns."""
