"""Kinds of fuzzed input that may be refused, each read as the project's commands read it.

A function draws one case, writes it below the given folder, and reads it. It returns if the input is accepted; every
refusal is an exception.
"""

import json
import shutil
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml
from hydra import compose, initialize_config_dir

from reliability.garble import NASTY, change_in, mutated, spoil, torn
from src.cli.compose import problems_of
from src.cli.conf import CONF, plain_config
from src.cli.overrides import flags_first
from src.runtime.errors import ConfigError

SPOKEN = (
    "loss=dpo", "F=2", "F=T", "T=4", "seed=0", "seed=0,1", "-m", "batch_size=4", "learning_rate=1e-4", "model=tiny",
    "model.path=x", "model.lora.rank=8", "task=tldr", "data=files", "data.path=.", "judge=embedding", "judge.path=x",
    "oracle=llm", "oracle.base_url=http://127.0.0.1:9", "evaluate.every=1", "optimizer.betas=[0.9,0.99]",
    "experiment=smoke", "++loss.beta=1", "+x=1", "~loss", "device=cpu", "reference=gold", "reference.path=.",
    "collect.temperature=1.0", "split=test", "n=3", "k=2", "temperature=1", "prompt=What?", "hydra.run.dir=x",
    "hydra/launcher=joblib", "--config-dir=x", "cache=.cache", "logger=wandb", "logger.mode=online", "force=true",
)  # fmt: skip


def command_line(rng: Random, folder: Path) -> None:
    """A command of src.train, src.evaluate or src.sample."""
    from src.after_training.evaluate_request import read_evaluate_request
    from src.after_training.sample_request import read_sample_request

    words = [mutated(rng, rng.choice(SPOKEN)) for _ in range(rng.randint(1, 4))]
    reader = rng.choice(("train", "train", "evaluate", "sample"))
    if reader == "train":
        if problems := problems_of(flags_first(words)):
            raise ConfigError(problems)
        return
    asked = rng.choice((f"policy={folder}", "responses=x.txt", "policy=sft", "split=test"))
    words += rng.choice(([asked], [mutated(rng, asked)], []))
    words = [word for word in words if not word.startswith("-")]
    (read_evaluate_request if reader == "evaluate" else read_sample_request)(words)


def settings(rng: Random, folder: Path) -> None:
    """A configuration with values changed, as a local yaml file may have them, or torn as a run's config.yaml."""
    from src.after_training.saved_policy import read_settings
    from src.cli.read_config import read_config

    plain = json.loads(_smoke())
    for _ in range(rng.randint(1, 2)):
        change_in(rng, plain)
    if rng.random() < 0.5:
        _, problems = read_config(plain)
    else:
        text = yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass")
        (folder / "config.yaml").write_bytes(torn(rng, text))
        _, problems = read_config(read_settings(folder / "config.yaml"))
    if problems:
        raise ConfigError(problems)


@cache
def _smoke() -> str:
    """The configuration of experiment=smoke, as JSON."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return json.dumps(plain_config(compose("train", overrides=["experiment=smoke"], return_hydra_config=True)))


def data(rng: Random, folder: Path) -> None:
    """Files of rows for data=files, and a file of responses for src.evaluate; data that loads is hashed and split."""
    from src.after_training.responses_file import by_prompt, read_responses
    from src.data.files import FilesData

    damaged = rng.choice(("train", "validation", "test", "responses"))
    for name in ("train", "validation", "test"):
        rows: list[Any] = [{"prompt": f"{name} {i}", "label": f"label {i}"} for i in range(rng.randint(2, 5))]
        if name == damaged:
            change_in(rng, rows)
            if rng.random() < 0.005:
                rows.append({"prompt": "x" * 10_000_000, "label": "y"})
        text = "\n".join(json.dumps(row, ensure_ascii=rng.random() < 0.5) for row in rows)
        raw = text.encode("utf-8", "surrogatepass")
        (folder / f"{name}.jsonl").write_bytes(torn(rng, raw) if name == damaged else raw)
    source = FilesData(str(folder), None, "prompt", "label", None, None, rng.choice(("drop", "refuse")))
    if problems := source.problems("tldr"):
        raise ConfigError(problems)
    splits = source.load("tldr")
    splits.fingerprint()
    lines = [{"response": rng.choice(NASTY), "prompt": row.prompt} for row in splits.train]
    if rng.random() < 0.5:
        change_in(rng, lines)
    file = folder / rng.choice(("out.jsonl", "out.txt"))
    written = [json.dumps(line) if file.suffix == ".jsonl" else str(line) for line in lines]
    file.write_bytes(torn(rng, "\n".join(written).encode("utf-8", "surrogatepass")))
    responses, problems = read_responses(file)
    if responses:
        problems += by_prompt(responses, splits.train, "train")[2]
    if problems:
        raise ConfigError(problems)


def analysis(rng: Random, folder: Path, example: Path) -> None:
    """A run's folder with rows changed or files torn, read as analysis/ reads it and written as a page."""
    from analysis.annotated_pairs import pair_sets
    from analysis.cells import make_grid
    from analysis.comparability import differences
    from analysis.errors import AnalysisError
    from analysis.page.contents import Page
    from analysis.page.problems import problems as page_problems
    from analysis.page.write import write_page
    from analysis.run_facts import run_facts
    from analysis.running import read_begun
    from analysis.runs import read_folders
    from analysis.shown import in_order, placed
    from analysis.traces import curves, sample_sets

    shutil.copytree(example, folder / "run")
    names = ("results.jsonl", "samples.jsonl", "metrics.jsonl", "config.yaml", "identity.json")
    spoil(rng, folder / "run", (*names, "pairs/round_000.jsonl", "pairs/after.jsonl"))
    runs, skipped = read_folders([folder])
    begun = [run for one in skipped if one.folder and (run := read_begun(one.folder))]
    try:
        if not (runs or begun) or differences(runs, {}):
            return
        grid, _, problems = make_grid(runs)
        if problems:
            raise AnalysisError(problems)
        shown = [*in_order(1, grid), *placed(begun, [runs] if runs else [])]
        made = curves(shown), sample_sets(shown, 10), pair_sets(shown), run_facts(shown)
        page = Page("runs", [], [], *made)
        if problems := page_problems(page):
            raise AnalysisError(problems)
        write_page(page, folder / "report.html")
    except AnalysisError as error:
        raise ConfigError(str(error).splitlines()) from None


def runs(rng: Random, folder: Path, example: Path) -> None:
    """A run's folder with rows changed or files torn, as src.verify and src.evaluate read it."""
    from src.after_training.checks.verify import verify
    from src.after_training.evaluate_request import read_evaluate_request
    from src.runtime.report import Report

    shutil.copytree(example, folder / "run")
    names = [str(file.relative_to(example)) for file in sorted(example.rglob("*.json*")) if file.stat().st_size < 1e6]
    spoil(rng, folder / "run", (*names, "config.yaml"))
    if rng.random() < 0.7:
        verify(folder / "run", False, Report())
    else:
        read_evaluate_request([f"policy={folder / 'run'}"])
