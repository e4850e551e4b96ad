"""Tests of the losses against values by hand."""
