"""Modules that have no test file of their name, and where they are tested.

load_policy: test_ask, test_head_to_head. saved_policy: test_evaluate_request, test_base_model. finished_run:
tests/test_verify. sft_policy: tests/test_sft. win_rate_table: tests/test_evaluate.
"""
