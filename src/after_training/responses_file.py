"""Responses of any system from a file: .txt, one a line in the order of a split, or any format of data files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.data.encoding import read_lines
from src.data.formats import KINDS, format_of, records
from src.data.packing import UNREADABLE, opened, unpacked_name
from src.data.rows import checked_text
from src.records import Row
from src.runtime.errors import error_summary

# Most damaged lines that a message names.
SHOWN = 3

# A response, and its prompt where the file has prompts.
Pairs = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Responses:
    """The responses of a system, read from a file.

    Attributes:
        path: of the file.
        texts: the responses without surrounding white space; an empty text is a response too.
        prompts: the prompt of each response; None if the responses are in the order of the split.
    """

    path: Path
    texts: list[str]
    prompts: list[str] | None


def read_responses(path: Path) -> tuple[Responses | None, list[str]]:
    """Reads a file of responses.

    A `.txt` file has one response a line. Only LF and CRLF end a line, so a separator within a text (U+2028, a form
    feed) does not. A file of any format of `src.data.formats` has a column `response`, and `prompt` too if responses
    are to be matched by prompt. Other fields are ignored, so the samples.jsonl of an evaluation can be read as well.

    Args:
        path: of the file; the suffix decides the format.

    Returns:
        The responses, or None; and the problems, a line each.
    """
    lines = Path(unpacked_name(path.name)).suffix == ".txt"
    if not lines and format_of(path) is None:
        return None, [f"{path}: expected a .txt file (one response a line), or {KINDS}"]
    if not path.is_file():
        return None, [f"{path}: no such file"]
    try:
        pairs, problems = (_lines(path), []) if lines else _rows(path)
    except (*UNREADABLE, csv.Error) as error:
        return None, [f"{path}: cannot be read ({error_summary(error)})"]
    if problems:
        return None, problems
    if not pairs:
        return None, [f"{path}: no responses"]
    prompts = [prompt for _, prompt in pairs if prompt is not None]
    if prompts and len(prompts) < len(pairs):
        return None, [f"{path}: {len(prompts)} of {len(pairs)} rows have a prompt; expected all of them, or none"]
    return Responses(path, [text for text, _ in pairs], prompts or None), []


def _lines(path: Path) -> Pairs:
    """The lines of a file, each a response."""
    with opened(path) as content:
        lines = [line.removesuffix("\r") for line in "".join(read_lines(content)).split("\n")]
    return [(line.strip(), None) for line in (lines[:-1] if lines[-1] == "" else lines)]


def _rows(path: Path) -> tuple[Pairs, list[str]]:
    """The response and the prompt of every record; and the problems, the first few of them."""
    pairs: Pairs = []
    problems = []
    for place, row in records(path):
        try:
            if isinstance(row, ValueError):
                raise row
            if not isinstance(row, dict):
                raise ValueError(f"expected a JSON object, got {type(row).__name__}")
            pairs.append((_text(row, "response"), _text(row, "prompt") if "prompt" in row else None))
        except ValueError as error:
            problems.append(f"{path}, {place}: {error}")
    more = len(problems) - SHOWN
    return pairs, problems[:SHOWN] + ([f"{path}: {more} more rows like these"] if more > 0 else [])


def _text(row: dict[str, object], name: str) -> str:
    if name not in row:
        raise ValueError(f"no field {name!r}, only {', '.join(map(repr, row)) or 'an empty object'}")
    return checked_text(row[name], repr(name)).strip()


def by_prompt(
    responses: Responses, rows: Sequence[Row], split: str, only_with_text: bool = False
) -> tuple[dict[str, str], list[str], list[str]]:
    """Matches responses with prompts. Of a repeated prompt the first response counts.

    Args:
        rows: of the split as they stand in the data, before any is left out: files of responses follow this order.
        split: name of the split, for messages.
        only_with_text: whether the source's rows without text are missing from `rows`, for messages.

    Returns:
        Prompt -> response; remarks for the user; and the problems, a line each.
    """
    path, count = responses.path, len(responses.texts)
    dropped = " (the source's rows without text are left out: data.rows_without_text=drop)" if only_with_text else ""
    if responses.prompts is None:
        if count != len(rows):
            empty = " (the last one is empty)" if count and not responses.texts[-1] else ""
            lines = f"{len(rows)} rows{dropped}; expected as many"
            return {}, [], [f"{path}: got {count} responses{empty}, and {split} has {lines}"]
        prompts = [row.prompt for row in rows]
    else:
        prompts = responses.prompts
        known = {row.prompt for row in rows}
        unknown = [prompt for prompt in prompts if prompt not in known]
        if unknown:
            which = f"{len(unknown)} of {count} prompts are none of {split}'s{dropped}"
            return {}, [], [f"{path}: {which}, for example {unknown[0][:80]!r}"]
    answers: dict[str, str] = {}
    for prompt, text in zip(prompts, responses.texts, strict=True):
        answers.setdefault(prompt, text)
    repeated = count - len(answers)
    return answers, [f"{path}: {repeated} responses to a prompt that has one already are left out"] * bool(repeated), []


def missing(responses: Responses, answers: Mapping[str, str], prompts: Sequence[str], split: str) -> list[str]:
    """The problem, in a list, if a prompt that is to be judged has no response; else an empty list.

    Args:
        answers: prompt -> response, from `by_prompt`.
        prompts: those to be judged.
        split: name of the split, for the message.
    """
    absent = [prompt for prompt in prompts if prompt not in answers]
    if not absent:
        return []
    return [
        f"{responses.path}: {len(absent)} of {len(prompts)} prompts of {split} have no response there, for example "
        f"{absent[0][:80]!r}; a file with the prompts must have each (model.path=DIR leaves out those that are too "
        "long for that model's policies, evaluate.prompts=N judges the first N)"
    ]
