"""Tests of the reference policies, all in one file: they differ in a line.

Modules without a test file of their name, and where they are tested:

base: test_references.py
behavior: test_references.py
ema: test_references.py
gold: test_references.py
sft: test_references.py
"""
