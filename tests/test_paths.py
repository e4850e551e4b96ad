"""Every path that a user types is taken as it stands, whatever characters it has."""

import json
from pathlib import Path

import pytest

from analysis.aggregate import main as analyse
from src.cli.compose import compose_jobs, problems_of
from src.storage.rows import dump_row, read_rows
from tests.classifiers import save_classifier
from tests.commands import command
from tests.families import save_family

# What a shell, glob, fsspec or a terminal reads as something else; Hydra's own signs are quoted in the command.
NAME = "a[12]*?{b}::~#% ü漢🎉&;=,(x)"


def quoted(path: Path) -> str:
    """A path as a value on Hydra's command line."""
    return "'" + str(path).replace("'", "\\'") + "'"


@pytest.mark.slow
@pytest.mark.nightly
def test_a_run_below_a_folder_of_any_name(tmp_path: Path) -> None:
    home = tmp_path / NAME
    for place, word in ((home, "here"), (tmp_path / "a1", "elsewhere"), (tmp_path / "a2", "elsewhere")):
        (place / "rows").mkdir(parents=True)
        for split, count in (("train", 12), ("validation", 4)):
            rows = [{"prompt": f"{word} {split} {number}", "label": "a label"} for number in range(count)]
            (place / "rows" / f"{split}.jsonl").write_text("".join(map(dump_row, rows)))
    base = Path(save_family("llama", home / "model"))
    words = [
        "data=files", f"data.path={quoted(home / 'rows')}", "model=smollm2_135m", f"model.path={quoted(base)}",
        f"cache={quoted(home / 'cache')}", "oracle=reward_model", "T=2", "F=1", "batch_size=2", "model.sft.steps=1",
        "model.sft.batch_size=2", "task.max_prompt_tokens=60", "task.max_new_tokens=8", "evaluate.every=0",
        "model.lora.rank=2",
    ]  # fmt: skip
    classifier = home / "judge"
    save_classifier(classifier, "llama")
    words += [f"oracle.path={quoted(classifier)}", "judge=reward_model", f"judge.path={quoted(classifier)}"]
    run = home / "run"
    ended = command(home, *words, f"hydra.run.dir={quoted(run)}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    row = read_rows(run / "results.jsonl")[-1]
    assert row["judge_is_oracle"] and row["n_prompts"] == 4
    assert {sample["prompt"].split()[0] for sample in read_rows(run / "samples.jsonl")} == {"here"}
    assert (home / "cache").is_dir() and not list(home.glob("outputs*"))
    ended = command(home, f"policy={run}", f"results={home / 'more.jsonl'}", module="src.evaluate")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert read_rows(home / "more.jsonl")[-1]["win_rate"] == row["win_rate"]
    analyse([str(run), "--out", str(home / "page")])
    assert (home / "page" / "report.html").is_file()


@pytest.mark.parametrize(
    "words",
    [
        "model=smollm2_135m model.path='~/there'", "data=files data.path='~/there'", "cache='~/there'",
        "judge=reward_model judge.path='~/there'", "oracle=embedding oracle.path='~/there'",
        "reference=gold reference.path='~/there'", "sampler=vllm sampler.folder='~/there'",
        "allocation=balanced allocation.embedder_path='~/there'",
    ],
)  # fmt: skip
def test_a_path_that_begins_at_home(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    [job], problems = compose_jobs(words.split())
    assert not problems and str(tmp_path / "there") in json.dumps(job.plain) and "~" not in json.dumps(job.plain)
    assert not any("~" in line for line in job.problems)


@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_folder_of_runs_at_home_is_refused(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra would make a folder of the name ~."""
    monkeypatch.chdir(tmp_path)
    assert any("write $HOME" in line for line in problems_of([f"{key}='~/runs'"]))
    assert not list(tmp_path.iterdir())
