"""Tests of src/oracles, file by file, against the stand-in for an endpoint in endpoint_server.py."""
