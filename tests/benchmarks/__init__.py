"""Tests of the predictions and measurements of cost."""
