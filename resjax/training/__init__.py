"""Training: a generator of rows."""
