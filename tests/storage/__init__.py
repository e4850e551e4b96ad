"""Tests of how files are written whole.

Modules without a test file of their name, and where they are tested:

run_name: cli/test_folder_name.py
"""
