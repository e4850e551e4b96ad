"""Looking at finished runs: evaluate, sample, verify."""
