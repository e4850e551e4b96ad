"""Trials of what the project promises: kills, damage, fuzzing and mutants by the hundred. See docs/reliability.md."""
