"""Tests of how the budget is shared among prompts.

Modules without a test file of their name, and where they are tested:

balanced: test_spend.py, test_runs.py
base: test_spend.py
embedder: test_spend.py, test_runs.py
embedding_depth: test_spend.py
far_from_center: test_spend.py
pool: test_spend.py
random_pairs: test_spend.py
ranking: test_spend.py
represent: test_spend.py, test_runs.py
round_size: test_spend.py, test_runs.py
"""
