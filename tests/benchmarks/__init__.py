"""Tests of the predictions and measurements of cost.

Modules without a test file of their name, and where they are tested:

arguments: test_commands.py
material: test_commands.py
outcome: test_commands.py
ours: test_commands.py
trl_peer: test_commands.py
"""
