"""Tests of processes, signals, threads, memory and seeds.

Modules without a test file of their name, and where they are tested:

device: benchmarks/test_plan.py
errors: test_train.py, cli/test_compose.py
printable: test_security.py, test_fuzz.py
process_group: test_processes.py
report: test_security.py, test_train.py
timing: test_train.py, test_faults.py
"""
