"""The policy: any causal language model of transformers, with LoRA members or all of its weights."""
