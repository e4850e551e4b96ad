"""Tests of reward models fitted to preferences.

Modules without a test file of their name, and where they are tested:

config: test_reward.py
"""
