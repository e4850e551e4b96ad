"""The files of src/after_training/checks are tested together, on whole runs.

Modules without a test file of their name, and where they are tested:

budget: test_verify.py, test_tampered.py
configuration: test_verify.py, test_tampered.py
data: test_verify.py, test_tampered.py
evaluations: test_verify.py, test_tampered.py
files: test_verify.py, test_tampered.py
responses: test_verify.py, test_tampered.py
scores: test_verify.py, test_tampered.py
"""
