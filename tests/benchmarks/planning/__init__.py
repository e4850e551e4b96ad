"""job: test_run_plan and test_passes; paper, command and measurements: ../test_plan.py, by the command line."""
