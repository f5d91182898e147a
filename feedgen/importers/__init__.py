"""Outside data → events."""
