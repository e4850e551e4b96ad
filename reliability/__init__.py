"""What the framework survives: harnesses that take minutes to hours, and the figures of docs/reliability.md."""
