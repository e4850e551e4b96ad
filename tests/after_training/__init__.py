"""Tests of what is done with trained policies.

Modules without a test file of their name, and where they are tested:

check: test_two_runs.py, test_verify.py
finished_run: test_two_runs.py, test_verify.py
head_to_head: test_evaluate.py
saved_policy: test_evaluate.py, test_sample.py
side_by_side: test_sample.py
"""
