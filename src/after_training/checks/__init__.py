"""The checks of `src.verify`, one file for each kind of number that a finished run reports."""
