"""Tests of a run's files.

Modules without a test file of their name, and where they are tested:

checkpoint: test_faults.py, runtime/test_signals.py
final_row: sweeps/test_finished.py
identity: test_train.py
model_card: test_folder.py
unreadable: cli/test_next_commands.py
"""
