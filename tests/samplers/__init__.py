"""Tests of what writes the responses.

Modules without a test file of their name, and where they are tested:

base: test_vllm.py
dispatch: test_servers.py
hf: test_exactness.py, inference/test_sampler.py
"""
