"""Tests of src/loggers, file by file; base.py declares what a logger is and is tested by test_jsonl.py."""
