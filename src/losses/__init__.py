"""Direct alignment losses: pure functions of log-probabilities and token counts, one file each."""
