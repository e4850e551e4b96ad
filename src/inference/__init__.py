"""Log-probabilities (`scorer`) and sampling (`sampler`) of a language model, each prompt encoded once.

Scoring: `row_layout` lays out rows, `shared_attention` attends within them, `lm_head` turns states into log-probs.
Sampling: `decoding` is the protocol, `plain_decoding` and `shared_decoding` its two implementations.
"""
