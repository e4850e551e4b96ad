"""The settings that name a reward model and its input, checked without transformers."""

from pathlib import Path

# How prompt and response are encoded: as the tokenizer's two segments, or as two turns of its chat template.
INPUTS = ("pair", "chat")


def is_local(path: str) -> bool:
    """Whether a path names a folder on this machine, not a model on the hub."""
    return path.startswith(("/", ".", "~")) or Path(path).exists()
