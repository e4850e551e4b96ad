"""Tests of processes, signals, threads, memory and seeds.

Modules without a test file of their name, and where they are tested:

printable: test_security.py, reliability/test_fuzz.py
process_group: test_processes.py
result_table: test_report.py
"""
