"""Where modules without a test file of their name are tested:

load_policy: test_ask.py, test_head_to_head.py
saved_policy: test_evaluate_request.py, test_base_model.py
finished_run: test_verify.py
sft_policy: test_sft.py
win_rate_table: test_evaluate.py
"""
