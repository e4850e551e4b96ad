"""Files that are written whole, checksums, and the names of run folders."""
