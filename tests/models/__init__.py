"""Tests of weights, adapters, tokens and reward models.

Modules without a test file of their name, and where they are tested:

fingerprint: learning/test_sft_cache.py
loading: test_policy.py, test_pretrained.py
scratch: learning/test_sft_cache.py, test_policy.py
sentence_encoder: oracles/test_embedding.py
sharding: runtime/test_processes.py
"""
