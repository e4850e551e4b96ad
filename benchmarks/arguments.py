"""The command line of a benchmark: keys of conf/bench.yaml and of conf/train.yaml, and the file for the result."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from src.build import quiet_libraries
from src.cli.arguments import own_arguments, refuse_flags
from src.cli.compose import compose_one
from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.cli.taken import Taken
from src.config import RunConfig
from src.runtime.errors import ConfigError, RunError, require
from src.storage.files import local_path

# Keys of src.train that every benchmark takes.
RUN = ("task", "data", "source", "model", "optimizer", "learning_rate", "ensemble", "seed", "device", "cache")
# Keys of conf/bench.yaml that every benchmark takes.
COMMON = ("pairs", "repeats", "warmup", "precision", "threads")
PRECISIONS = ("float32", "bfloat16", "both")

Keys = TypeVar("Keys")


@dataclass(frozen=True)
class BenchKeys:
    """The keys of conf/bench.yaml that conf/train.yaml does not have; conf/bench.yaml explains them."""

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
    """A command as read and checked.

    Attributes:
        plain: the keys that this benchmark takes, as plain values.
        json: file for the result; None: the result is only printed.
    """

    config: RunConfig
    keys: BenchKeys
    plain: dict[str, Any]
    json: Path | None

    def precisions(self) -> tuple[str, ...]:
        """The precisions to measure in."""
        return PRECISIONS[:2] if self.keys.precision == "both" else (self.keys.precision,)


def read_bench(arguments: Sequence[str], taken: Sequence[str]) -> Bench:
    """Reads a command. `data.path=DIR` implies data=files unless data= is given.

    Args:
        arguments: key=value.
        taken: keys of conf/bench.yaml and conf/train.yaml that this benchmark takes besides `RUN` and `COMMON`.

    Raises:
        ConfigError: with everything that is wrong with the command.
    """
    values, others, problems = own_arguments(arguments, ("json",))
    if any(word.startswith("data.path=") for word in others) and not any(word.startswith("data=") for word in others):
        others = ["data=files", *others]
    names = (*RUN, *COMMON, *taken)
    job = compose_one(
        others,
        Taken("bench", keys=(*names, "experiment"), own=("json",), problems_in=lambda plain: _read(plain, taken)[2]),
    )
    problems += job.problems
    file, wrong_file = result_file(values)
    problems += wrong_file
    config, keys, _ = _read(job.plain, taken) if job.plain else (None, None, [])
    if problems or config is None or keys is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Bench(config, keys, {key: job.plain[key] for key in names if key in job.plain}, file)


def _read(plain: dict[str, Any], taken: Sequence[str]) -> tuple[RunConfig | None, BenchKeys | None, list[str]]:
    used = (*RUN, *(key for key in taken if key not in BenchKeys.__dataclass_fields__))
    config, keys, problems = read_parts(plain, BenchKeys, used)
    if config is not None and keys is not None and keys.precision != "float32" and config.model.lora is None:
        problems.append(
            f"precision={keys.precision}: without adapters (model.lora=null) all weights are trained, in float32; "
            "use model=tiny_lora or another model with adapters"
        )
    return config, keys, problems


def read_parts(
    plain: Mapping[str, Any], kind: type[Keys], used: Sequence[str] | None = None
) -> tuple[RunConfig | None, Keys | None, list[str]]:
    """Both parts of a composed configuration: the run's, and the command's own keys.

    Args:
        plain: the configuration as plain values.
        kind: dataclass of the command's own keys.
        used: the run's keys that matter to the command; None: all.

    Returns:
        The run's configuration and the own keys, None where something is wrong; and everything that is wrong.
    """
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    config, problems = read_config({key: value for key, value in plain.items() if key not in names}, used)
    parts, wrong = read_fields(kind, {key: value for key, value in plain.items() if key in names})
    keys = None
    if not wrong:
        try:
            keys = kind(**parts)
        except ValueError as error:
            wrong = str(error).splitlines()
    return config, keys, problems + wrong


def result_file(values: Mapping[str, str]) -> tuple[Path | None, list[str]]:
    """The file that `json=` names, None if it is not given; and what is wrong with it."""
    file = local_path(values["json"]) if "json" in values else None
    if file is not None and file.is_dir():
        return file, [f"json={file}: that is a folder; expected a file, or a name for one"]
    return file, []


def carry_out(help: str, run: Callable[[list[str]], object]) -> None:
    """Runs a command on the words typed; a user's mistake ends it with a message.

    Args:
        help: text for --help.
        run: carries out the command, given its key=value arguments.
    """
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, help)
        quiet_libraries()
        run(arguments)
    except (ConfigError, RunError) as error:
        sys.exit(f"error: {error}")


def command(help: str, taken: Sequence[str], run: Callable[[Bench], object]) -> None:
    """The main function of a benchmark.

    Args:
        help: text for --help.
        taken: as in `read_bench`.
        run: measures, prints and writes.
    """
    carry_out(help, lambda arguments: run(read_bench(arguments, taken)))
