"""Which posts are considered for a viewer, and which of them may be shown."""
