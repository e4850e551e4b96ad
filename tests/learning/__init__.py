"""Tests of the optimizer steps and of the SFT policies.

Modules without a test file of their name, and where they are tested:

finetune: test_sft_cache.py
gradients: runtime/test_processes.py, test_exactness.py
keyed_folders: test_sft_cache.py
metrics: evaluation/test_evaluator.py, test_exactness.py
optimizer: test_schedule.py, test_exactness.py
"""
