"""Tests of a run's files.

Modules without a test file of their name, and where they are tested:

checkpoint: test_faults.py, runtime/test_signals.py
identity: test_folder.py, test_faults.py
lock: test_faults.py
model_card: test_train.py
"""
