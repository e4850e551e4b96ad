"""Tests of the mirrors of a run's rows.

Modules without a test file of their name, and where they are tested:

base: test_wandb.py
jsonl: test_wandb.py, test_train.py
"""
