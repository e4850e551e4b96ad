"""Tests of src/storage, file by file; growing_file.py is tested by test_files.py."""
