"""Tests of evaluations. These modules are tested elsewhere:

judged: test_evaluator.py
"""
