"""Tests of many runs started together."""
