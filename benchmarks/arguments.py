"""The command line of a benchmark: keys of conf/bench.yaml and of conf/train.yaml, and where the result goes."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.build import quiet_libraries
from src.cli.arguments import own_arguments, refuse_flags
from src.cli.compose import compose_one
from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.cli.taken import Taken
from src.config import RunConfig
from src.runtime.errors import ConfigError, RunError, require
from src.storage.files import local_path

# Keys of src.train that mean something here.
RUN = ("task", "data", "source", "model", "optimizer", "learning_rate", "ensemble", "seed", "device", "cache")
# Keys of conf/bench.yaml that every benchmark takes.
COMMON = ("pairs", "repeats", "warmup", "precision", "threads")
PRECISIONS = ("float32", "bfloat16", "both")


@dataclass(frozen=True)
class BenchKeys:
    """The keys of conf/bench.yaml that are not train.yaml's; explained there."""

    pairs: int
    repeats: int
    warmup: int
    peer: str
    precision: str
    start: str
    threads: int | None
    as_it_comes: bool
    prompt_tokens: int
    response_tokens: int
    sizes: int
    processes: int

    def __post_init__(self) -> None:
        counts = ("pairs", "repeats", "threads", "prompt_tokens", "response_tokens")
        choices = {"peer": ("trl", "none"), "precision": PRECISIONS, "start": ("base", "sft")}
        require(
            *((getattr(self, n) is None or getattr(self, n) >= 1, f"{n}: expected at least 1") for n in counts),
            (self.warmup >= 0, f"warmup={self.warmup}: expected 0 or more"),
            (self.processes >= 2, f"processes={self.processes}: expected at least 2"),
            (self.sizes >= 2, f"sizes={self.sizes}: expected at least 2, for a line has two points"),
            *(
                (getattr(self, key) in valid, f"{key}={getattr(self, key)}: expected one of {', '.join(valid)}")
                for key, valid in choices.items()
            ),
        )


@dataclass(frozen=True)
class Bench:
    """A command as checked.

    Attributes:
        plain: the configuration as dicts, what this benchmark takes of it.
        json: where the result goes; None: it is printed alone.
    """

    config: RunConfig
    keys: BenchKeys
    plain: dict[str, Any]
    json: Path | None

    def precisions(self) -> tuple[str, ...]:
        """Those to measure in."""
        return PRECISIONS[:2] if self.keys.precision == "both" else (self.keys.precision,)


def read_bench(arguments: Sequence[str], taken: Sequence[str]) -> Bench:
    """Reads a command. A given `data.path` means data=files, unless data= says otherwise.

    Args:
        arguments: key=value.
        taken: keys that this benchmark takes beside the common ones, of conf/bench.yaml and of conf/train.yaml.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    own, others, problems = own_arguments(arguments, ("json",))
    if any(one.startswith("data.path=") for one in others) and not any(one.startswith("data=") for one in others):
        others = ["data=files", *others]
    names = (*RUN, *COMMON, *taken)
    job = compose_one(
        others,
        Taken("bench", keys=(*names, "experiment"), own=("json",), problems_in=lambda plain: _read(plain, taken)[2]),
    )
    problems += job.problems
    place = local_path(own["json"]) if "json" in own else None
    if place is not None and place.is_dir():
        problems.append(f"json={place}: that is a folder; expected a file, or a name for one")
    config, keys, _ = _read(job.plain, taken) if job.plain else (None, None, [])
    if problems or config is None or keys is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Bench(config, keys, {key: job.plain[key] for key in names if key in job.plain}, place)


def _read(plain: dict[str, Any], taken: Sequence[str]) -> tuple[RunConfig | None, BenchKeys | None, list[str]]:
    """Both parts of a composed configuration, and everything wrong with it."""
    names = BenchKeys.__dataclass_fields__
    run = (*RUN, *(key for key in taken if key not in names))
    config, problems = read_config({key: value for key, value in plain.items() if key not in names}, run)
    parts, found = read_fields(BenchKeys, {key: value for key, value in plain.items() if key in names})
    keys = None
    if not found:
        try:
            keys = BenchKeys(**parts)
        except ValueError as error:
            found = str(error).splitlines()
    if config is not None and keys is not None and keys.precision != "float32" and config.model.lora is None:
        found.append(
            f"precision={keys.precision}: without adapters (model.lora=null) all weights are trained, in float32; "
            "use model=tiny_lora or another model with adapters"
        )
    return config, keys, problems + found


def command(help: str, taken: Sequence[str], run: Callable[[Bench], object]) -> None:
    """A benchmark's main: reads the command and runs it; a user's mistake is a message.

    Args:
        help: for --help.
        taken: as in `read_bench`.
        run: measures, prints and writes.
    """
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, help)
        quiet_libraries()
        run(read_bench(arguments, taken))
    except (ConfigError, RunError) as error:
        sys.exit(f"error: {error}")
