"""Tests of the whole: commands, runs, files.

Modules without a test file of their name, and where they are tested:

build: experiments.py, test_evaluate.py, test_conf.py
config: test_conf.py, cli/test_compose.py, reliability/test_fuzz.py
loop: test_exactness.py, test_train.py, test_faults.py
records: test_exactness.py, run_folder/test_round_files.py
"""
