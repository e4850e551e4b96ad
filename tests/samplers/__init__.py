"""Tests of what writes the responses.

Modules without a test file of their name, and where they are tested:

adapter_handover: test_served_sampler.py
base: test_vllm.py
dispatch: test_servers.py
handover: test_served_sampler.py, test_weights_handover.py
hf: test_exactness.py, inference/test_sampler.py
"""
