"""Tests of a run's files.

Modules without a test file of their name, and where they are tested:

checkpoint: test_faults.py, runtime/test_signals.py
folder: test_reopened_folder.py, test_faults.py
identity: test_train.py
model_card: test_reopened_folder.py
"""
