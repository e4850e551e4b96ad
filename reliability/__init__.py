"""Trials of what the project promises: kills, damage and faults by the hundred. What they found: docs/reliability.md."""
