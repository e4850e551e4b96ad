"""Tests of what labels pairs and judges responses."""
