"""Tests of win rates and their intervals."""
