"""Tests of log-probs and sampling.

Modules without a test file of their name, and where they are tested:

decoding: test_sampler.py
shared_attention: test_scorer.py, test_sampler.py
"""
