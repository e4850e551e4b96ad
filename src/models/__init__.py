"""Models: the policy (any causal LM of transformers, LoRA or all weights), reward models and sentence encoders."""
