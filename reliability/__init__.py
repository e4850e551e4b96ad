"""Trials of what the project promises: kills, damage, crowds, fuzzing, a long run, mutants. See docs/reliability.md."""
