"""Every yaml of conf/ that a command line can choose."""

from src.cli.conf import CONF

GROUPS = (
    "allocation", "collect", "data", "judge", "logger", "loss", "model", "oracle", "reference", "sampler", "source",
    "task", "experiment",
)  # fmt: skip
FILES = [(group, file.stem) for group in GROUPS for file in sorted((CONF / group).glob("*.yaml"))]
