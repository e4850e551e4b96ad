"""The folder of a run: the files it leaves, and what it needs to resume."""
