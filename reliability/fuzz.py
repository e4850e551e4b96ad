"""Bad input, wholesale: thousands of commands, yaml files, data files and run folders that nobody would write.

    python -m reliability.fuzz                         # 10,000 cases, every kind in turn
    python -m reliability.fuzz cases=500 kind=data seed=7

A case is right if the input is taken, or refused with an error of the project's own. It is wrong if any other exception
comes out, if it takes longer than `PATIENCE`, if something that steers a terminal stands in the message, or if a file
appears outside of the case's folder. The same seed and number make the same case.
"""

import contextlib
import copy
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir

from src.cli.arguments import own_arguments, whole_number
from src.cli.compose import problems_of
from src.cli.conf import CONF, plain_config
from src.cli.overrides import flags_first
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import steers

# Seconds of processor time.
PATIENCE = 20.0
NASTY = (
    "", " ", "\t", "\x00", "\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\r\b\b\b", "\u202e\u2066txt", "\u2028", "\ufeff",
    "é", "文字" * 3, "שלום עולם", "🏳\ufe0f\u200d🌈", "\ud800", "null", "true", "nan", "-inf", "1e999", "-1", "0", "0.5",
    "2", "9" * 400, "[", "]", "{", "}", "[]", "{}", "[1,2]", "{a:1}", "${", "${x}", "${loss}", "${oc.env:HOME}", "=",
    ",",
    "'", '"', "\\", "/", "..", "../..", "~", "$HOME", "/dev/null", "/dev/zero", "%s", "{0}", "[red]", "[/nothing]", "@",
    "<script>", "&lt;", "#", "!!python/object/apply:os.system [x]", "&a [*a]", "- ", "? ", ": ", "T", "1_000", "0x10",
    "x" * 5000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**70, 0.5, -0.0, float("nan"), float("inf"), 1e308, "", "x", [], [1], {}, {"a": 1},
    {"_target_": "os.system"}, {"_target_": None}, [[[]]], "T", "\x1b[31m", "\u202e", "é🏳", "9" * 30,
)  # fmt: skip
# The commands print these, and nothing else; a missing or unreadable file is named in an OSError.
Refused = (ConfigError, RunError, SystemExit, OSError)


@dataclass(frozen=True)
class Failure:
    """A case that went wrong: which, how, and what would repeat it."""

    kind: str
    number: int
    what: str


def command_line(random: random.Random, folder: Path) -> None:
    """A command of src.train, src.evaluate or src.sample."""
    from src.after_training.evaluate_request import read_evaluate_request
    from src.after_training.sample_request import read_sample_request

    words = [_mutated(random, random.choice(SPOKEN)) for _ in range(random.randint(1, 4))]
    reader = random.choice(("train", "train", "evaluate", "sample"))
    if reader == "train":
        if problems := problems_of(flags_first(words)):
            raise ConfigError(problems)
        return
    own = random.choice((f"policy={folder}", "responses=x.txt", "policy=sft", "split=test"))
    words += random.choice(([own], [_mutated(random, own)], []))
    words = [word for word in words if not word.startswith("-")]
    (read_evaluate_request if reader == "evaluate" else read_sample_request)(words)


SPOKEN = (
    "loss=dpo", "F=2", "F=T", "T=4", "seed=0", "seed=0,1", "-m", "batch_size=4", "learning_rate=1e-4", "model=tiny",
    "model.path=x", "model.lora.rank=8", "task=tldr", "data=files", "data.path=.", "judge=embedding", "judge.path=x",
    "oracle=llm", "oracle.base_url=http://127.0.0.1:9", "evaluate.every=1", "optimizer.betas=[0.9,0.99]",
    "experiment=smoke", "++loss.beta=1", "+x=1", "~loss", "device=cpu", "reference=gold", "reference.path=.",
    "collect.temperature=1.0", "split=test", "n=3", "k=2", "temperature=1", "prompt=What?", "hydra.run.dir=x",
    "hydra/launcher=joblib", "--config-dir=x", "cache=.cache", "logger=wandb", "logger.mode=online", "force=true",
)  # fmt: skip


def settings(random: random.Random, folder: Path) -> None:
    """A configuration as a local yaml file would leave it, and a run's config.yaml as src.evaluate reads it."""
    from src.after_training.saved_policy import read_settings
    from src.cli.read_config import read_config

    plain = json.loads(_plain())
    for _ in range(random.randint(1, 2)):
        _change_in(random, plain)
    if random.random() < 0.5:
        _, problems = read_config(plain)
    else:
        text = yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass")
        (folder / "config.yaml").write_bytes(_torn(random, text))
        _, problems = read_config(read_settings(folder / "config.yaml"))
    if problems:
        raise ConfigError(problems)


_composed: list[str] = []


def _plain() -> str:
    if not _composed:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            _composed.append(
                json.dumps(plain_config(compose("train", overrides=["experiment=smoke"], return_hydra_config=True)))
            )
    return _composed[0]


def data(random: random.Random, folder: Path) -> None:
    """Files of rows for data=files, and files of responses for src.evaluate; what loads is hashed and split."""
    from src.after_training.responses_file import by_prompt, read_responses
    from src.data.files import FilesData

    hurt = random.choice(("train", "validation", "test", "responses"))
    for name in ("train", "validation", "test"):
        rows: list[Any] = [{"prompt": f"{name} {i}", "label": f"label {i}"} for i in range(random.randint(2, 5))]
        if name == hurt:
            _change_in(random, rows)
            if random.random() < 0.005:
                rows.append({"prompt": "x" * 10_000_000, "label": "y"})
        text = "\n".join(json.dumps(row, ensure_ascii=random.random() < 0.5) for row in rows)
        raw = text.encode("utf-8", "surrogatepass")
        (folder / f"{name}.jsonl").write_bytes(_torn(random, raw) if name == hurt else raw)
    source = FilesData(str(folder), "prompt", "label", None, None, random.choice(("drop", "refuse")))
    if problems := source.problems("tldr"):
        raise ConfigError(problems)
    splits = source.load("tldr")
    splits.fingerprint()
    lines = [{"response": random.choice(NASTY), "prompt": row.prompt} for row in splits.train]
    if random.random() < 0.5:
        _change_in(random, lines)
    file = folder / random.choice(("out.jsonl", "out.txt"))
    made = [json.dumps(one) if file.suffix == ".jsonl" else str(one) for one in lines]
    file.write_bytes(_torn(random, "\n".join(made).encode("utf-8", "surrogatepass")))
    responses, problems = read_responses(file)
    if responses:
        problems += by_prompt(responses, splits.train, "train")[2]
    if problems:
        raise ConfigError(problems)


def analysis(random: random.Random, folder: Path, example: Path) -> None:
    """Folders of runs with rows changed or files torn, read as analysis/ reads them, and drawn as a page's samples."""
    from analysis.cells import make_grid
    from analysis.comparability import differences
    from analysis.errors import AnalysisError
    from analysis.page import Page, write_page
    from analysis.page import problems as page_problems
    from analysis.runs import read_folders
    from analysis.traces import curves, sample_sets

    shutil.copytree(example, folder / "run")
    _spoil(random, folder / "run", ("results.jsonl", "samples.jsonl", "metrics.jsonl", "config.yaml", "identity.json"))
    runs, _ = read_folders([folder])
    try:
        if not runs or differences(runs, {}):
            return
        grid, _, problems = make_grid(runs)
        if problems:
            raise AnalysisError(problems)
        page = Page("runs", [], [], [], curves(grid), sample_sets(grid, 10), {})
        if problems := page_problems(page):
            raise AnalysisError(problems)
        write_page(page, folder / "report.html")
    except AnalysisError as error:
        raise ConfigError(str(error).splitlines()) from None


def runs(random: random.Random, folder: Path, example: Path) -> None:
    """Run folders with rows changed or files torn, as src.verify and src.evaluate read them."""
    from src.after_training.checks.verify import verify
    from src.after_training.evaluate_request import read_evaluate_request
    from src.runtime.report import Report

    shutil.copytree(example, folder / "run")
    names = [str(file.relative_to(example)) for file in sorted(example.rglob("*.json*")) if file.stat().st_size < 1e6]
    _spoil(random, folder / "run", (*names, "config.yaml"))
    if random.random() < 0.7:
        verify(folder / "run", False, Report())
    else:
        read_evaluate_request([f"policy={folder / 'run'}"])


def _spoil(random: random.Random, folder: Path, names: Sequence[str]) -> None:
    """Changes values of rows in files, or the bytes of a file; takes one away."""
    for name in random.sample(names, random.randint(1, 2)):
        file = folder / name
        how = random.random()
        if how < 0.1:
            file.unlink()
        elif how < 0.5 or not name.endswith((".jsonl", ".yaml")):
            file.write_bytes(_torn(random, file.read_bytes(), random.randint(1, 3)))
        elif name.endswith(".yaml"):
            plain = yaml.safe_load(file.read_text(encoding="utf-8"))
            _change_in(random, plain)
            file.write_bytes(yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass"))
        else:
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
            for _ in range(random.randint(1, 3)):
                _change_in(random, rows)
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.write_bytes(text.encode("utf-8", "surrogatepass"))


def _mutated(random: random.Random, text: str) -> str:
    """A word of a command with something nasty in it, or in place of its value."""
    how = random.random()
    if how < 0.2:
        return text
    if how < 0.6:
        return f"{text.partition('=')[0]}={random.choice(NASTY)}".encode("utf-8", "replace").decode()
    place = random.randint(0, len(text))
    put = random.choice(NASTY).encode("utf-8", "replace").decode().replace("\x00", "")
    return text[:place] + put + text[place + random.randint(0, 2) :]


def _change_in(random: random.Random, node: Any) -> None:
    """Changes, removes, adds or repeats something, somewhere in nested dicts and lists."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and random.random() < 0.8:
            node = node[key]
            continue
        how = random.random()
        if how < 0.7:
            node[key] = _other(random, node[key])
        elif how < 0.85:
            del node[key]
        elif isinstance(node, dict):
            node[random.choice(NASTY)] = copy.deepcopy(random.choice(VALUES))
        else:
            node.append(copy.deepcopy(node[key]))
        return


def _other(random: random.Random, value: Any) -> Any:
    """Another value: of the same kind, which gets further, or any."""
    if random.random() < 0.5:
        return copy.deepcopy(random.choice(VALUES))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((0, 1, 2, 3, 7, value + 1, -value, 10**9))
    if isinstance(value, float):
        return random.choice((0.0, 0.5, 1.0, 1e-300, 1e300, -value, value * 1.001))
    return random.choice(NASTY)


def _torn(random: random.Random, text: bytes, times: int = 1) -> bytes:
    """Bytes with some flipped, cut off, repeated, put in; or in another encoding. Every other time as they were."""
    for _ in range(times):
        place = random.randint(0, len(text))
        other = random.choice(NASTY).encode("utf-8", "surrogatepass")
        match random.randint(0, 11):
            case 0:
                text = text[:place]
            case 1:
                text = text[:place] + bytes([random.randint(0, 255)]) + text[place + 1 :]
            case 2:
                text = text[:place] + other + text[place:]
            case 3:
                text = text[:place] + text[place // 2 :]
            case 4:
                text = text.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-8-sig", "utf-32")))
            case 5:
                text = text.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"", b"\x00")))
    return text


@contextlib.contextmanager
def example_run() -> Iterator[Path]:
    """A finished run of seconds, made in a process of its own."""
    import subprocess

    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        where = [f"cache={place}/cache", f"hydra.run.dir={place}/run"]
        command = [sys.executable, "-m", "src.train", "experiment=smoke", *where]
        subprocess.run(command, check=True, capture_output=True)
        yield Path(place) / "run"


def kinds(example: Path) -> dict[str, Callable[[random.Random, Path], None]]:
    """Every kind of case by name."""
    return {
        "command": command_line,
        "settings": settings,
        "data": data,
        "analysis": lambda random, folder: analysis(random, folder, example),
        "runs": lambda random, folder: runs(random, folder, example),
    }


def tried(kind: str, make: Callable[[random.Random, Path], None], seed: int, number: int, home: Path) -> Failure | None:
    """One case, in a folder of its own; what was wrong, if anything was."""
    folder = home / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before = sorted(home.rglob("*"))
    started, said, what = time.process_time(), "", ""
    printed = io.StringIO()
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            make(random.Random(f"{kind} {seed} {number}"), folder)
    except Refused as error:
        said = str(error)
    except Exception:
        what = traceback.format_exc(limit=-4)
    took = time.process_time() - started
    shutil.rmtree(folder, ignore_errors=True)
    what = what or ("nothing is said" if said == "None" else "")
    what = what or (f"took {took:.0f} s" if took > PATIENCE else "")
    steering = {char for char in said + printed.getvalue() if steers(char)}
    what = what or (f"a message holds {steering}: {said[:300]!r}" if steering else "")
    strange = [path for path in sorted(home.rglob("*")) if path not in before and folder not in path.parents]
    what = what or (f"wrote {strange}" if strange else "")
    return Failure(kind, number, what) if what else None


def fuzz(cases: int, seed: int, kind: str, example: Path, tick: Callable[[Failure], None]) -> float:
    """Tries cases of a kind and tells `tick` of failures; seconds of processor time."""
    make, started = kinds(example)[kind], time.process_time()
    with tempfile.TemporaryDirectory(prefix="fuzz-home-") as home:
        for number in range(cases):
            failure = tried(kind, make, seed, number, Path(home))
            if failure:
                tick(failure)
    return time.process_time() - started


def main(arguments: Sequence[str]) -> int:
    """The command; 0 if no case went wrong."""
    own, others, problems = own_arguments(arguments, ("cases", "seed", "kind"))
    cases, wrong = whole_number(own, "cases", 10_000)
    seed, wrong_seed = whole_number(own, "seed", 1)
    names = tuple(kinds(Path()))
    wanted = own["kind"].split(",") if "kind" in own else names
    problems += [*wrong, *wrong_seed, *(f"{one}: expected cases=N, seed=N or kind=NAME" for one in others)]
    problems += [f"kind={one}: expected some of {', '.join(names)}" for one in wanted if one not in names]
    if problems:
        sys.exit(f"error: {ConfigError(problems)}")
    failures: list[Failure] = []

    def tell(failure: Failure) -> None:
        failures.append(failure)
        print(f"{failure.kind} seed={seed} number={failure.number}: {failure.what}", flush=True)

    each = cases // len(wanted)
    with example_run() as example:
        for kind in wanted:
            before = len(failures)
            seconds = fuzz(each, seed, kind, example, tell)
            print(f"{kind}: {each} cases, {len(failures) - before} wrong, {seconds:.0f} s", flush=True)
    print(f"{each * len(wanted)} cases, {len(failures)} wrong")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
