"""The files of a round: its annotated pairs with their log-probs, a summary, and the plan of its allocation."""

import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from src.allocation.plan import Plan
from src.records import Comparison, Prompt, Response, Row, Tally
from src.runtime import processes
from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.rows import dump_row, read_rows
from src.storage.signed import CHECKSUM, checksum, read_signed, signed


@processes.by_main
def save_round(
    folder: Path, number: int, comparisons: list[Comparison], drawn: int, tally: Tally, config_hash: str
) -> None:
    """Writes the comparisons of a round, one per line, then a summary with their checksum.

    Args:
        folder: the run's `pairs/`.
        number: of the round.
        comparisons: of the round.
        drawn: prompts the run has taken from its stream by the end of the round.
        tally: the run's counts by the end of the round.
        config_hash: of the run.
    """
    pairs, summary = _files(folder, number)
    write_text(pairs, "".join(dump_row(_row(number, comparison)) for comparison in comparisons))
    facts = {"round": number, "drawn": drawn, **asdict(tally), "config_hash": config_hash, "pairs": checksum(pairs)}
    # Not the plan's checksum: a plan contains seconds, and equal runs should have equal summaries.
    facts |= {"plan": _plan(folder, number).is_file()}
    write_text(summary, dump_row(signed(facts)))


@processes.by_main
def round_problem(folder: Path, number: int, config_hash: str) -> str | None:
    """Why a round cannot be loaded.

    Args:
        folder: the run's `pairs/`.
        number: of the round.
        config_hash: of the run.

    Returns:
        The problem, or None if the files are those that `save_plan` and `save_round` wrote for this run.
    """
    pairs, summary = _files(folder, number)
    for file in (pairs, summary):
        if not file.is_file():
            return f"{file} is missing"
    facts = read_signed(summary, "round", "drawn")
    if facts is None or facts["round"] != number:
        return f"{summary} is damaged: it is not what the run wrote"
    if facts["config_hash"] != config_hash:
        return f"{summary} is of a run of another configuration"
    try:
        plan = load_plan(folder, number)
    except RunError as error:
        return str(error)
    if plan is None and facts.get("plan"):
        return f"{_plan(folder, number)} is missing"
    return None if checksum(pairs) == facts["pairs"] else f"{pairs} is damaged: its checksum is not that of {summary}"


@processes.by_main
def load_round(folder: Path, number: int, prompts: list[Prompt]) -> tuple[list[Comparison], int, Tally]:
    """Reads what `save_round` wrote; the round must have no `round_problem`.

    Args:
        folder: the run's `pairs/`.
        number: of the round.
        prompts: of the run; those of the round are found by id.

    Returns:
        The comparisons, the prompts drawn from the stream, and the tally by the end of the round.
    """
    pairs, summary = _files(folder, number)
    facts = read_rows(summary)[0]
    by_id = {prompt.id: prompt for prompt in prompts}
    comparisons = [_comparison(row, by_id) for row in read_rows(pairs)]
    return comparisons, facts["drawn"], Tally(**{field.name: facts.get(field.name, 0) for field in fields(Tally)})


def round_files(folder: Path) -> dict[int, Path]:
    """The files of pairs in a run's `pairs/`, by number of the round, in order; files with other names are ignored."""
    matches = ((re.fullmatch(r"round_(\d{3,})\.jsonl", file.name), file) for file in folder.glob("round_*.jsonl"))
    return dict(sorted((int(match[1]), file) for match, file in matches if match))


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"round_{number:03d}.jsonl", folder / f"round_{number:03d}.json"


@processes.by_main
def save_plan(folder: Path, number: int, plan: Plan) -> None:
    """Writes how the budget of a round was spent; call it before `save_round`, which records that a plan exists."""
    write_text(_plan(folder, number), dump_row(signed({"round": number, **asdict(plan)})))


@processes.by_main
def load_plan(folder: Path, number: int) -> Plan | None:
    """Reads what `save_plan` wrote; None if there is no plan.

    Raises:
        RunError: if the file is damaged.
    """
    file = _plan(folder, number)
    if not file.is_file():
        return None
    row = read_signed(file, "round", "allocation")
    if row is None or row["round"] != number:
        raise RunError(f"{file} is damaged: it is not what the run wrote")
    return Plan(**{key: value for key, value in row.items() if key not in ("round", CHECKSUM)})


def _plan(folder: Path, number: int) -> Path:
    return folder / f"plan_{number:03d}.json"


def _row(number: int, comparison: Comparison) -> dict[str, Any]:
    responses = [
        {
            "text": response.text,
            "ids": response.ids,
            "score": comparison.scores[i] if comparison.scores else None,
            "logps": {name: values[i] for name, values in comparison.logps.items()},
        }
        for i, response in enumerate(comparison.responses)
    ]
    prompt = comparison.prompt
    return {
        "round": number,
        "prompt_id": prompt.id,
        "prompt": prompt.row.prompt,
        "prompt_ids": prompt.ids,
        "chosen": comparison.chosen,
        "responses": responses,
    }


def _comparison(row: dict[str, Any], prompts: dict[int, Prompt]) -> Comparison:
    first, second = row["responses"]
    return Comparison(
        prompt=prompts[row["prompt_id"]],
        responses=(Response(tuple(first["ids"]), first["text"]), Response(tuple(second["ids"]), second["text"])),
        scores=None if first["score"] is None else (first["score"], second["score"]),
        chosen=row["chosen"],
        logps={name: (first["logps"][name], second["logps"][name]) for name in first["logps"]},
    )


def read_pairs(folder: Path) -> list[Comparison]:
    """Reads the comparisons of all rounds in a run's `pairs/`, without the run's data.

    Returns:
        The comparisons; their prompts have text and ids, but neither label nor facts.

    Raises:
        RunError: if a file contains a line that `save_round` did not write, or does not match its summary's checksum.
    """
    comparisons = []
    for round, file in round_files(folder).items():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
            if line:
                try:
                    row = json.loads(line)
                    id = row["prompt_id"]
                    prompt = Prompt(id, Row(row["prompt"], ""), tuple(row["prompt_ids"]), ())
                    comparison = _comparison(row, {id: prompt})
                    if comparison.chosen not in (0, 1, None) or row["round"] != round:
                        raise ValueError
                    comparisons.append(comparison)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise RunError(f"{file}, line {number}: no comparison of a run; the file is damaged") from error
        facts = next(iter(read_rows(file.with_suffix(".json"))), {})
        # Runs of an earlier version have no checksums.
        if "pairs" in facts and facts["pairs"] != checksum(file):
            raise RunError(f"{file} is damaged: its checksum is not that of {file.with_suffix('.json')}")
    return comparisons
