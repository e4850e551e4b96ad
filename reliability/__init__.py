"""Trials of what the project promises: kills, damage and faults by the hundred. See docs/reliability.md."""
