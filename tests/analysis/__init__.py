"""Tests of the figures, tables and pages."""
