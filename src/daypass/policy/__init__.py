"""Facts to decision: pure functions."""
