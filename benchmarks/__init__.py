"""Ours and its peers, measured in turn in one run: see benchmarks/README.md."""
