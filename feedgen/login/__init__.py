"""Who will come, and when; and whom to generate for."""
