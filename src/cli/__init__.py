"""Reading and checking a command."""
