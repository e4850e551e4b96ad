"""Tests of how files are written whole, of rows, checksums and names."""
