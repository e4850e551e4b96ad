"""How each run was made: its command, its settings beside the defaults, its code, data and machine."""

import json
from collections.abc import Sequence
from typing import Any

from analysis.commands import command_of
from analysis.figures.facts import counted
from analysis.final_samples import lines_of, readable
from analysis.page.contents import RunFacts
from analysis.running import is_finished, progress_of
from analysis.runs import Run
from analysis.shown import Shown
from analysis.traces import place_of
from analysis.typed_overrides import changes_from_defaults

NOT_RECORDED = "not recorded (archives, and runs of earlier versions)"


def run_facts(runs: Sequence[Shown]) -> list[RunFacts]:
    """The facts of every run on the page."""
    return [_facts(one) for one in runs]


def _facts(one: Shown) -> RunFacts:
    run = one.run
    attempts = readable(lines_of(run.folder / "attempts.jsonl")) if run.folder is not None else []
    last = attempts[-1] if attempts else {}
    row = run.row
    result = f"{100 * row['win_rate']:.1f} % ({row['split']})" if is_finished(run) else "none yet"
    facts = [
        ("Folder", str(run.folder or run.where)),
        ("Win rate", result),
        ("Configuration", str(row["config_hash"])),
        ("Commit", str(row.get("git_sha") or "none: no checkout of git")),
        ("Data", f"{row['data']}, fingerprint {row.get('data_fingerprint', 'unknown')}"),
        ("SFT policy", f"fingerprint {row.get('sft_fingerprint', 'unknown')}"),
        ("Hardware", _hardware(last) if last else NOT_RECORDED),
        ("Software", _software(last) if last else NOT_RECORDED),
    ]
    if len(attempts) > 1:
        facts.append(("Attempts", f"{len(attempts)}; the command and the machine are those of the last one"))
    command = last.get("command")
    return RunFacts(
        place_of(one), progress_of(run), command if isinstance(command, str) else _command(run), facts,
        [(key, _text(value), _text(usual)) for key, value, usual in changes_from_defaults(run.settings)],
    )  # fmt: skip


def _command(run: Run) -> str:
    """The command of a run that has not kept it, from its configuration."""
    return command_of(run) if run.settings else "unknown: the run has no config.yaml"


def _hardware(attempt: dict[str, Any]) -> str:
    gpu = f"{attempt['gpu']} ({attempt.get('gpu_memory_gib')} GiB), " if attempt.get("gpu") else ""
    counts = [counted(attempt[key], key[:-1], key) for key in ("cores", "threads") if attempt.get(key)]
    processes = [f"{attempt['processes']} processes"] if attempt.get("processes", 1) != 1 else []
    return ", ".join([f"{gpu}{attempt.get('processor')}", *counts, f"{attempt.get('memory_gib')} GiB", *processes])


def _software(attempt: dict[str, Any]) -> str:
    names = ("python", "torch", "transformers", "peft", "numpy")
    versions = ", ".join(f"{name} {attempt[name]}" for name in names if attempt.get(name))
    return f"{attempt.get('system')}; {versions}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
