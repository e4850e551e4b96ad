"""Grids of runs, one file a figure, and the command that runs one on this machine."""
