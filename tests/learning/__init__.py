"""Tests of the optimizer steps and of the SFT policies.

Modules without a test file of their name, and where they are tested:

finetune: test_sft_cache.py
learner: test_exactness.py, evaluation/test_evaluator.py
"""
