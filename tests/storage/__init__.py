"""Tests of how files are written whole."""
