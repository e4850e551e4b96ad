"""arguments, material, outcome, ours and every command: test_commands; the peer: test_commands, where installed."""
