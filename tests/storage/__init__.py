"""Tests of how files are written whole.

Modules without a test file of their name, and where they are tested:

run_name: run_folder/test_folder.py
"""
