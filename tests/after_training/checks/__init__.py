"""The checks are tested together, on whole runs: every check agrees with an honest run, and differs where its number
was changed. Where modules without a test file of their name are tested:

budget: test_verify.py, test_tampered.py
configuration: test_verify.py, test_tampered.py
data: test_verify.py, test_tampered.py
evaluations: test_verify.py, test_tampered.py
files: test_verify.py, test_tampered.py
responses: test_verify.py, test_tampered.py
scores: test_verify.py, test_tampered.py
"""
