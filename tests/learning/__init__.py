"""Tests of the optimizer steps and of the SFT policies.

Modules without a test file of their name, and where they are tested:

finetune: test_sft_cache.py
gradients: runtime/test_processes.py
"""
