"""Learning from the log by playing it: replay, training data, evaluation. No moment knows what came after it."""
