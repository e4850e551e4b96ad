"""Tests of src/models, file by file, but: loading in test_pretrained, sharding in tests/runtime/test_processes,
sentence_encoder in tests/oracles/test_embedding and tests/test_security.
"""
