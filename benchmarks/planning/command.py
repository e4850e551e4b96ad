"""The command line of `benchmarks.plan`: keys of conf/plan.yaml and of conf/train.yaml, and what is planned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.arguments import read_parts, result_file
from benchmarks.planning.architecture import architecture_of
from benchmarks.planning.paper import METHODS, PAPER
from benchmarks.planning.run_plan import Plan, PlanKeys, run_of
from src.cli.arguments import own_arguments
from src.cli.compose import compose_one
from src.cli.taken import Taken
from src.learning.schedule import resolve_rounds
from src.runtime.errors import ConfigError
from src.storage.files import local_path

OWN = ("json", "F", "paper", "check")


@dataclass(frozen=True)
class Command:
    """A command as read and checked.

    Attributes:
        plans: (task, method) of the paper's table -> its plan; a single plan has ("", "").
        json: file for the result; None: the result is only printed.
        check: result files of other benchmarks to predict; empty: none.
    """

    plans: dict[tuple[str, str], Plan]
    json: Path | None
    check: tuple[Path, ...]


def read_plan(arguments: Sequence[str]) -> Command:
    """Reads a command.

    Raises:
        ConfigError: with everything that is wrong with the command.
    """
    values, others, problems = own_arguments(arguments, OWN)
    if values.get("paper", "false") not in ("true", "false"):
        problems.append(f"paper={values['paper']}: expected true or false")
    paper = values.get("paper") == "true"
    if paper:
        settled = ("F", "reference", "experiment", "task", "T", "batch_size")
        given = [word for word in arguments if word.partition("=")[0] in settled]
        problems += [f"{word}: paper=true sets it for every run of its table; leave it out" for word in given]
    for key in ("paper", "F") if "check" in values else ():
        problems += [f"{key}={values[key]}: check= plans no run; leave it out"] if key in values else []
    file, wrong_file = result_file(values)
    check = tuple(local_path(name) for name in values.get("check", "").split(",") if name)
    problems += [*wrong_file, *(f"check={name}: no such file" for name in check if not name.is_file())]
    wanted: dict[tuple[str, str], list[str]] = {("", ""): []}
    if paper:
        wanted = {
            (task, method): [f"experiment=paper_{task}", *keys] for task in PAPER for method, keys in METHODS.items()
        }
    plans = {}
    for name, more in wanted.items() if not problems else ():
        plan, wrong = _plan([*others, *more], values.get("F"), PAPER.get(name[0]))
        problems += wrong
        if plan is not None:
            plans[name] = plan
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Command(plans, file, check)


def _plan(arguments: list[str], F: str | None, prompt_tokens: int | None) -> tuple[Plan | None, list[str]]:
    """A composed configuration to plan, and what is wrong with it.

    Args:
        F: values of F as typed, F=1,2,T; None: the configuration's.
        prompt_tokens: mean tokens of the task's prompts, used unless the key is given.
    """
    job = compose_one(arguments, Taken("plan", own=OWN, problems_in=lambda plain: read_parts(plain, PlanKeys)[2]))
    problems = list(job.problems)
    config, keys, _ = read_parts(job.plain, PlanKeys) if job.plain else (None, None, [])
    if problems or config is None or keys is None:
        return None, problems
    rounds = []
    for value in F.split(",") if F else [config.F]:
        try:
            rounds.append(resolve_rounds(int(value) if str(value).strip().isdigit() else str(value).strip(), config.T))
        except ValueError as error:
            problems.append(str(error))
    plain = {
        key: value for key, value in job.plain.items() if value is not None or key in PlanKeys.__dataclass_fields__
    }
    if prompt_tokens is not None and keys.prompt_tokens is None:
        plain["prompt_tokens"] = prompt_tokens
        keys = replace(keys, prompt_tokens=prompt_tokens)
    plan = Plan(config, keys, tuple(rounds), plain)
    try:
        run_of(plan, 1)
        architecture_of(config.model, keys.architecture)
    except ValueError as error:
        problems += str(error).splitlines()
    return plan, problems
