"""Tests of src/storage, file by file; growing_file.py is tested by tests/run_folder, run_name.py by tests/cli."""
