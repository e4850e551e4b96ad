"""Tests of src/storage, file by file."""
