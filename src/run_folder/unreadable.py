"""Whether a person can read what a policy says."""

from pathlib import Path

from src.storage.rows import read_rows

# What a tokenizer puts in the place of bytes that are no text.
NO_TEXT = "\ufffd"


def unreadable_share(samples: Path) -> float:
    """The share of responses with bytes that are no text, in the last evaluation of a run.

    A byte-level policy that has hardly been trained samples such bytes.

    Args:
        samples: the run's samples.jsonl.
    """
    rows = read_rows(samples)
    last = [row for row in rows if (row["round"], row["step"]) == (rows[-1]["round"], rows[-1]["step"])]
    return sum(NO_TEXT in row["response"] for row in last) / max(len(last), 1)
