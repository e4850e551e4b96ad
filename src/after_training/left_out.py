"""Which rows of a split were not judged, and why."""

from collections.abc import Mapping, Sequence

from src.config import RunConfig
from src.records import Prompt, Row


def left_out(
    config: RunConfig, split: str, raw_rows: Mapping[str, Sequence[Row]], rows: Sequence[Row], prompts: Sequence[Prompt]
) -> str:
    """One sentence that accounts for every row of the split.

    Args:
        raw_rows: split -> its rows as they stand in the data.
        rows: of the split, as the data give them for evaluation: each prompt once, and in one split only.
        prompts: those that were judged.
    """
    count, unique = len(raw_rows[split]), {row.prompt for row in raw_rows[split]}
    # A prompt of several splits stays in test.
    shared = unique & {row.prompt for row in raw_rows.get("test", ())} if split != "test" else set()
    reached_limit = config.evaluate.prompts is not None and len(prompts) == config.evaluate.prompts
    seen = prompts[-1].id + 1 if reached_limit else len(rows)
    longest = config.task.max_prompt_tokens
    reasons = [
        (count - len(unique), "whose prompt came before"),
        (len(shared), "whose prompt is in another split too"),
        (len(unique) - len(shared) - len(rows), f"cut by data.{split}={len(rows)}"),
        (seen - len(prompts), f"with a prompt of more than {longest} tokens or a label too long (task.max_*_tokens)"),
        (len(rows) - seen, f"after the first {len(prompts)} (evaluate.prompts)"),
    ]
    listed = [f"{number} {reason}" for number, reason in reasons if number]
    return f"{split}: {count} rows, {len(prompts)} judged" + (f"; left out: {', '.join(listed)}" if listed else "")
