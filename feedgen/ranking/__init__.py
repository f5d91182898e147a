"""Features and scorers."""
