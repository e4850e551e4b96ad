"""Which of two responses is better: oracles label training pairs, judges report the win rate."""
