"""Log-probs and sampling of a model, each prompt encoded once."""
