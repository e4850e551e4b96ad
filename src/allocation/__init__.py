"""Which prompts are annotated, and with how many pairs each, under one budget."""
