"""Models that are learnt: what they are, how they are trained, kept, and stood in for when they fail."""
