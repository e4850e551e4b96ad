"""Tests of the reliability harness.

Modules without a test file of their name, and where they are tested:

fuzz_cases: test_fuzz.py
garble: test_fuzz.py
damage: test_trial.py
left: test_trial.py
watch: test_trial.py
"""
