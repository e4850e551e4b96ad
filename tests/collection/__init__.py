"""Tests of how a round's comparisons are made.

Modules without a test file of their name, and where they are tested:

policy_offer: allocation/test_runs.py, runtime/test_signals.py
round: test_exactness.py, samplers/test_vllm.py
"""
