"""Processes, signals, threads, report, seeds, errors."""
