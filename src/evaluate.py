"""The win rate of a saved policy, or of the responses of any system.

    python -m src.evaluate policy=outputs/default
    python -m src.evaluate responses=out.txt task=tldr data=files data.path=DIR judge=embedding judge.path=DIR

policy=PATH      a run's folder (its configuration is the default of all that follows), its policy/, a PEFT adapter or a
                 model folder; `sft` is the SFT policy of the configuration
base=DIR         the base model of an adapter, where the one it names is not there
responses=FILE   instead of a policy: .txt, one response a line in the order of the split's rows, or .jsonl,
                 {"response": ..} a line, with "prompt" if they are in another order
against=FILE     what they are compared with, in the same formats; by default the labels
split=NAME       validation or test; by default that of a run's final evaluation
results=FILE     appends a row as in a run's results.jsonl; samples=FILE writes one for every prompt

task, data, model, judge, evaluate, seed, device, cache and ensemble are keys of `python -m src.train` (see its --help);
evaluate.prompts=N judges the first N prompts.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.after_training.head_to_head import Match, Request, append_row, play, show
from src.after_training.responses_file import Responses, read_responses
from src.after_training.saved_policy import SFT, base_of, base_problems, find_policy
from src.build import quiet_libraries
from src.cli.arguments import own_arguments, refuse_flags
from src.cli.compose import compose_one
from src.cli.hints import nearest
from src.cli.read_config import read_config
from src.cli.taken import Taken
from src.runtime.cpu_threads import use_processor
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable
from src.runtime.report import Report
from src.storage.files import dump_row, local_path, unwritable, write_text

OWN = ("policy", "base", "responses", "against", "split", "results", "samples")
KEYS = ("task", "data", "source", "model", "judge", "evaluate", "seed", "device", "cache", "ensemble")
SPLITS = ("validation", "test")


def read_request(arguments: Sequence[str]) -> Request:
    """Reads a command.

    Raises:
        ConfigError: with everything that is wrong with it; no model was loaded then.
    """
    own, others, problems = own_arguments(arguments, OWN)
    if ("policy" in own) == ("responses" in own):
        problems.append(f"expected policy=PATH or responses=FILE, got {'both' if 'policy' in own else 'neither'}")
    saved = None
    if own.get("policy", SFT) != SFT:
        saved, found = find_policy(own["policy"])
        problems += found
    if saved or own.get("policy", SFT) == SFT:
        problems += base_problems(own.get("base"), [saved] if saved else [])
    read: dict[str, Responses | None] = {"responses": None, "against": None}
    for key in read:
        if key in own:
            read[key], found = read_responses(local_path(own[key]))
            problems += [f"{key}={line}" for line in found]
    if "split" in own and own["split"] not in SPLITS:
        problems.append(f"split={own['split']}: no such split; {nearest(own['split'], SPLITS)}")
    places: dict[str, Path] = {key: local_path(own[key]) for key in OWN[-2:] if key in own}
    problems += _output_problems(places, [own[key] for key in ("responses", "against") if key in own])
    settings = saved.settings(own.get("base")) if saved else None
    job = compose_one(
        others,
        Taken(
            keys=(*KEYS, "experiment") if settings is None else KEYS,
            own=OWN,
            saved=settings,
            saved_data=saved.facts().get("data", "embedded") if saved else "embedded",
        ),
    )
    about = f"with the configuration of {saved.run}: " if saved and settings else ""
    problems += [about + line for line in job.problems]
    config, _ = read_config(job.plain, KEYS) if job.plain else (None, [])
    base = ""
    if saved and config:
        base, found = base_of(saved, own.get("base"), config.model.path)
        problems += found
    if problems or config is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Request(
        config=config,
        plain=job.plain,
        choices=job.choices,
        saved=saved,
        base=base,
        responses=read["responses"],
        against=read["against"],
        split=own.get("split"),
        results=places.get("results"),
        samples=places.get("samples"),
    )


def _output_problems(places: Mapping[str, Path], inputs: Sequence[str]) -> list[str]:
    """What is wrong with the files to be written."""
    problems = []
    taken = [local_path(one).resolve() for one in inputs]
    for key, path in places.items():
        if path.is_dir():
            problems.append(f"{key}={path}: that is a folder; expected a file, or a name for one")
        elif (path.parent / "identity.json").is_file():
            problems.append(f"{key}={path}: {path.parent} is a run's folder and holds its own results; choose another")
        elif path.resolve() in taken:
            problems.append(f"{key}={path}: that file is read or written already; choose another")
        elif key == "results" and path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            problems.append(f"{key}={path}: its last row is torn (no end of line); mend it, or choose another file")
        elif why := unwritable(path):
            problems.append(f"{key}={path}: {why}; choose another file")
        taken.append(path.resolve())
    return problems


def evaluate(request: Request) -> Match:
    """Samples where there is a policy, asks the judge, writes what was asked for and prints a table.

    Raises:
        ConfigError: if the responses do not fit the split.
        RunError: if it cannot go on; nothing was written then.
    """
    quiet_libraries()
    use_processor()
    report = Report()
    with report.live():
        match = play(request, report)
    if request.samples:
        write_text(request.samples, "".join(map(dump_row, match.samples)))
    if request.results:
        append_row(request.results, match.row)
    show(match, report)
    for path in filter(None, (request.results, request.samples)):
        report.say(f"Written: {path}")
    return match


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, str(__doc__))
        evaluate(read_request(arguments))
    except (ConfigError, RunError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")


if __name__ == "__main__":
    main()
