"""Tests of what writes the responses.

Modules without a test file of their name, and where they are tested:

hf: test_exactness.py, inference/test_sampler.py
servers: test_vllm.py
"""
