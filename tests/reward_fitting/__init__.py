"""Tests of reward models fitted to preferences."""
