"""Gradient steps: learning from preferences (`learner`) and supervised fine-tuning (`finetune`, `sft_cache`)."""
