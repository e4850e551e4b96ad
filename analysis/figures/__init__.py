"""The figures, one file each: which runs it is about, its numbers, and how they are drawn from the numbers alone."""
