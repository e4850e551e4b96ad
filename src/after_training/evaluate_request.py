"""What a command of `src.evaluate` asks for: read and checked before any model is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.after_training.base_model import base_of, base_problems
from src.after_training.configuration import compose_over_run
from src.after_training.responses_file import Responses, read_responses
from src.after_training.saved_policy import SFT, SavedPolicy, find_policy
from src.cli.arguments import own_arguments
from src.cli.hints import nearest
from src.config import RunConfig
from src.runtime.errors import ConfigError
from src.storage.files import local_path, unwritable

OWN = ("policy", "base", "responses", "against", "split", "results", "samples")
KEYS = ("task", "data", "source", "model", "judge", "evaluate", "seed", "device", "cache", "ensemble")
SPLITS = ("validation", "test")


@dataclass(frozen=True)
class EvaluateRequest:
    """A system to be evaluated, and how.

    Attributes:
        config: task, data, judge and model.
        plain: the same configuration as plain dicts.
        choices: group -> the yaml chosen; for the policy of a run, only the groups that were typed.
        saved: the policy; None for a file of responses and for the SFT policy.
        base: folder or hub name of the model that the policy's weights belong to; "" without a saved policy.
        responses: a file of responses in place of a policy; None for a policy.
        against: the opponent's responses; None for the labels.
        split: None for the split of a run's final evaluation.
        results, samples: files to be written; None for none.
    """

    config: RunConfig
    plain: Mapping[str, Any]
    choices: Mapping[str, str]
    saved: SavedPolicy | None
    base: str
    responses: Responses | None
    against: Responses | None
    split: str | None
    results: Path | None
    samples: Path | None

    @property
    def system(self) -> str:
        """Name of the evaluated system, for tables and rows."""
        if self.responses:
            return self.responses.path.name
        return self.saved.name if self.saved else SFT

    @property
    def opponent(self) -> str:
        """Name of the opponent, for tables and rows."""
        return self.against.path.name if self.against else "label"


def read_evaluate_request(arguments: Sequence[str]) -> EvaluateRequest:
    """Reads a command. No model is loaded.

    Args:
        arguments: key=value each, as typed after `python -m src.evaluate`.

    Raises:
        ConfigError: with every problem of the command.
        RunError: if the files of the policy's run are damaged.
    """
    given, rest, problems = own_arguments(arguments, OWN)
    if ("policy" in given) == ("responses" in given):
        problems.append(f"expected policy=PATH or responses=FILE, got {'both' if 'policy' in given else 'neither'}")
    saved = None
    if given.get("policy", SFT) != SFT:
        saved, policy_problems = find_policy(given["policy"])
        problems += policy_problems
    if saved or given.get("policy", SFT) == SFT:
        problems += base_problems(given.get("base"), [saved] if saved else [])
    files: dict[str, Responses | None] = {"responses": None, "against": None}
    for key in files:
        if key in given:
            files[key], file_problems = read_responses(local_path(given[key]))
            problems += [f"{key}={line}" for line in file_problems]
    if "split" in given and given["split"] not in SPLITS:
        problems.append(f"split={given['split']}: no such split; {nearest(given['split'], SPLITS)}")
    outputs: dict[str, Path] = {key: local_path(given[key]) for key in ("results", "samples") if key in given}
    problems += _output_problems(outputs, [given[key] for key in files if key in given])
    config, job, config_problems = compose_over_run(rest, saved, given.get("base"), KEYS, OWN)
    problems += config_problems
    base = ""
    if saved and config:
        base, missing_base = base_of(saved, given.get("base"), config.model.path)
        problems += missing_base
    if problems or config is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return EvaluateRequest(
        config=config,
        plain=job.plain,
        choices=job.choices,
        saved=saved,
        base=base,
        responses=files["responses"],
        against=files["against"],
        split=given.get("split"),
        results=outputs.get("results"),
        samples=outputs.get("samples"),
    )


def _output_problems(outputs: Mapping[str, Path], inputs: Sequence[str]) -> list[str]:
    """What is wrong with the files to be written, a line each.

    Args:
        outputs: key -> file.
        inputs: the files to be read.
    """
    problems = []
    taken = [local_path(text).resolve() for text in inputs]
    for key, path in outputs.items():
        if path.is_dir():
            problems.append(f"{key}={path}: that is a folder; expected a file, or a name for one")
        elif (path.parent / "identity.json").is_file():
            problems.append(f"{key}={path}: {path.parent} is a run's folder and holds its own results; choose another")
        elif path.resolve() in taken:
            problems.append(f"{key}={path}: that file is read or written already; choose another")
        elif key == "results" and path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            problems.append(f"{key}={path}: its last row is torn (no end of line); mend it, or choose another file")
        elif reason := unwritable(path):
            problems.append(f"{key}={path}: {reason}; choose another file")
        taken.append(path.resolve())
    return problems
