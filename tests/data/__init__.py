"""Tests of src/data, file by file; rows.py is tested by test_files and test_formats, the worlds by test_world."""
