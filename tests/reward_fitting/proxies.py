"""Overrides that make the proxy of a small run small."""

PROXY = ("oracle=proxy", "oracle.pairs=12", "oracle.held_out_pairs=4", "oracle.steps=2", "oracle.batch_size=4")
