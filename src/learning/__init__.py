"""Gradient steps: preference learning and SFT."""
