"""The pairs of a round on disk: what was collected, how it was annotated, and its log-probs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from src.allocation.plan import Plan
from src.collect import Tally
from src.errors import RunError
from src.files import dump_row, read_rows, write_text
from src.records import Comparison, Prompt, Response, Row


def save_round(folder: Path, number: int, comparisons: list[Comparison], drawn: int, tally: Tally) -> None:
    """Writes a round's comparisons, a line each, then what the run has drawn and spent up to here."""
    write_text(folder / f"round_{number:03d}.jsonl", "".join(dump_row(_row(number, one)) for one in comparisons))
    write_text(folder / f"round_{number:03d}.json", dump_row({"round": number, "drawn": drawn, **asdict(tally)}))


def load_round(folder: Path, number: int, prompts: list[Prompt]) -> tuple[list[Comparison], int, Tally] | None:
    """What `save_round` wrote, or None if the round was not written to its end."""
    summary = read_rows(folder / f"round_{number:03d}.json")
    if not summary:
        return None
    fields = {key: value for key, value in summary[0].items() if key not in ("round", "drawn")}
    by_id = {prompt.id: prompt for prompt in prompts}
    comparisons = [_comparison(row, by_id) for row in read_rows(folder / f"round_{number:03d}.jsonl")]
    return comparisons, summary[0]["drawn"], Tally(**fields)


def save_plan(folder: Path, number: int, plan: Plan) -> None:
    """Writes how a round's budget was spent."""
    write_text(folder / f"plan_{number:03d}.json", dump_row({"round": number, **asdict(plan)}))


def load_plan(folder: Path, number: int) -> Plan | None:
    """What `save_plan` wrote, or None if it is not there."""
    found = read_rows(folder / f"plan_{number:03d}.json")
    return Plan(**{key: value for key, value in found[0].items() if key != "round"}) if found else None


def _row(number: int, comparison: Comparison) -> dict[str, Any]:
    responses = [
        {
            "text": response.text,
            "ids": response.ids,
            "score": comparison.scores[place] if comparison.scores else None,
            "logps": {name: values[place] for name, values in comparison.logps.items()},
        }
        for place, response in enumerate(comparison.responses)
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
    """The comparisons of every round in a run's `pairs/`, with prompts as they stand there: no label, no facts.

    Raises:
        RunError: if a file has a line that `save_round` did not write.
    """
    found = []
    for file in sorted(folder.glob("round_*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
            if line:
                try:
                    row = json.loads(line)
                    id = row["prompt_id"]
                    prompt = Prompt(id, Row(row["prompt"], ""), tuple(row["prompt_ids"]), ())
                    comparison = _comparison(row, {id: prompt})
                    if comparison.chosen not in (0, 1, None):
                        raise ValueError(f"chosen={comparison.chosen}")
                    found.append(comparison)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise RunError(f"{file}, line {number}: no comparison of a run; the file is damaged") from error
    return found
