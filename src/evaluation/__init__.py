"""Win rate and what stands beside it."""
