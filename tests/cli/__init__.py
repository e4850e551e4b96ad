"""Tests of how a command line is read and checked."""
