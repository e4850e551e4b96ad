"""Tests of weights, adapters, tokens and reward models.

Modules without a test file of their name, and where they are tested:

fingerprint: learning/test_sft_cache.py
reward_input: test_reward_model.py
scratch: learning/test_sft_cache.py, test_policy.py
sentence_encoder: oracles/test_embedding.py
sharding: runtime/test_processes.py
"""
