"""Tests of the figures, tables and pages.

Modules without a test file of their name, and where they are tested:

study: test_aggregate.py
studies: test_aggregate.py, test_example.py
report: test_aggregate.py
commands: test_typed_overrides.py, test_cells.py
shown: test_running.py
watch: test_running.py
parts: test_aggregate.py
drawn: test_aggregate.py
remarks: test_aggregate.py
whole_files: test_aggregate.py
rows: test_runs.py
metrics: test_paired_figure.py, test_aggregate.py
contrasts: test_paired_figure.py
allocations: test_allocation_figures.py
colors: test_allocation_figures.py
"""
