"""Tests of what labels pairs and judges responses.

Modules without a test file of their name, and where they are tested:

answers: test_llm.py
endpoint: test_llm.py
"""
