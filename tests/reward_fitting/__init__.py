"""Tests of reward models fitted to preferences. Where modules without a test file of their name are tested:

fit_and_judge: test_make.py, test_proxy.py
"""
