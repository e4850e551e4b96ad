"""The files of src/after_training/checks are tested together, on whole runs.

test_verify: every check agrees with an honest run. test_tampered: every check differs where its number was changed.
"""
