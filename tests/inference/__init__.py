"""Tests of log-probs and sampling.

Modules without a test file of their name, and where they are tested:

decoding: test_plain_decoding.py, test_shared_decoding.py
"""
