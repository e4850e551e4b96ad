"""Tests of how a round's comparisons are made.

Modules without a test file of their name, and where they are tested:

base: test_sampled_pairs.py, test_dataset_pairs.py
policy_offer: allocation/test_runs.py, runtime/test_signals.py
round_report: test_exactness.py
"""
