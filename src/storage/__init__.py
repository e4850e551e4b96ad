"""Whole files, checksums, names of folders."""
