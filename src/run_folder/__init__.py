"""What a run leaves, and going on from it."""
