"""Tests of how a command line is read and checked.

Modules without a test file of their name, and where they are tested:

checks: test_compose.py, test_security.py, test_launchers.py
comments: test_help.py
composed_beside: test_folder_name.py, test_experiment_keys.py
conf: test_conf.py
hints: test_compose.py
overrides: test_compose.py, reliability/test_fuzz.py
queued_jobs: test_submitted_jobs.py
read_config: test_conf.py, reliability/test_fuzz.py
read_fields: test_compose.py, reliability/test_fuzz.py
saved_settings: after_training/test_evaluate_request.py
taken: reward_fitting/test_config.py, test_compose.py
"""
