"""The first half of a round: allocate, collect, annotate, score the reference."""
