"""The figures, one file each: the runs it is about, its numbers, and its drawing from the numbers alone."""
