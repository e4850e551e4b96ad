"""Grids of runs, one yaml per figure, and the command that runs a grid on this machine."""
