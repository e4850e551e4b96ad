"""Tests of prompts, labels and splits.

Modules without a test file of their name, and where they are tested:

cut: test_hub.py
formats: test_files.py, test_hub.py
hub_files: test_hub.py
rows: test_files.py, test_dialogue.py
world_helpfulness: test_world.py
world_tldr: test_world.py
"""
