"""Each command once at its smallest size, ours alone; and one with the peer, where it is installed."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import trl_peer
from benchmarks.arguments import read_bench
from benchmarks.planning.command import read_plan
from benchmarks.sampling import _response_tokens
from benchmarks.step import best_ratio, check_same
from src.runtime.errors import ConfigError, RunError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    file.stem for file in (ROOT / "benchmarks").glob("*.py") if 'if __name__ == "__main__":' in file.read_text()
)
GROWTH = ("prompt_tokens=8", "response_tokens=3", "sizes=2")
TAKEN = {
    "step": ("peer",),
    "memory": ("peer",),
    "sampling": ("peer", "start"),
    "round": ("reference", "peer", "start", "as_it_comes"),
    "growth": ("prompt_tokens", "response_tokens", "sizes"),
    "overhead": (),
    "features": (),
    "processes": ("start", "processes"),
    "plan": (),
}
# Not of a model: no keys of conf/bench.yaml.
OF_COMMANDS = {"answers", "cell", "gpu"}


def test_the_commands_were_found() -> None:
    assert {*TAKEN, *OF_COMMANDS} == set(COMMANDS)


def measured(name: str, *arguments: str) -> dict[str, Any]:
    peerless = ("peer=none",) if "peer" in TAKEN[name] else ()
    bench = read_bench([*arguments, *peerless], TAKEN[name])
    row = importlib.import_module(f"benchmarks.{name}").measure(bench)
    if bench.json is not None:
        assert json.loads(bench.json.read_text()) == row
    return row


@pytest.mark.usefixtures("in_threads")
class TestSmallest:
    def test_step(self, smallest: list[str], tmp_path: Path) -> None:
        row = measured("step", *smallest, f"json={tmp_path}/F=2,a.json")
        assert row["rate_share"] > 0 and row["seconds"] > 0 and row["peak_bytes"] > 2**20
        assert "ratio_trl" not in row and row["skipped"] == "peer=none"
        assert row["machine"]["versions"]["torch"] and row["config"]["pairs"] == 2

    def test_step_of_an_ensemble_in_both_precisions(self, smallest: list[str]) -> None:
        row = measured("step", *smallest, "model=tiny_lora", "ensemble=2", "precision=both")
        assert row["ratio_sequential"] > 0
        assert {"rate_share_float32", "rate_share_bfloat16", "peak_bytes_bfloat16"} <= set(row)
        assert row["flops_float32"] == row["flops_bfloat16"] > 0
        assert row["seconds"] == row[f"seconds_{row['precision']}"]

    def test_memory(self, smallest: list[str]) -> None:
        assert measured("memory", *smallest)["peak_bytes"] > 2**20

    def test_sampling(self, smallest: list[str]) -> None:
        row = measured("sampling", *smallest, "start=sft")
        assert row["tokens_per_second"] > 0
        fixed, ends = (one["turns"][0]["tokens"] for one in row["sides"])
        assert fixed == 2 * 2 * 12 and 0 < ends <= fixed

    def test_round(self, smallest: list[str]) -> None:
        row = measured("round", *smallest, "task.max_new_tokens=5", "model.tokens=64", "reference.from_sampling=true")
        stages = {name: value for name, value in row.items() if name.startswith("seconds_")}
        assert set(stages) == {f"seconds_{name}" for name in ("fold", "collect", "annotate", "reference", "learn")}
        assert min(stages.values()) > 0 and sum(stages.values()) <= 2 / row["pairs_per_second"]
        assert row["pairs_per_second"] > 0
        assert 4 <= row["sides"][0]["turns"][0]["tokens"] <= 20

    @pytest.mark.parametrize("model", ["tiny", "tiny_lora"])
    def test_features(self, smallest: list[str], model: str) -> None:
        row = measured("features", *smallest, f"model={model}")
        assert row["ratio_step"] > 0 and row["sketch_bytes"] == 2048
        assert [side["side"] for side in row["sides"]] == ["step", "features", "features of more"]

    def test_overhead(self, smallest: list[str]) -> None:
        row = measured("overhead", *smallest)
        assert 0 < row["overhead_share"] < 1
        assert row["overhead_share_low"] < 1

    def test_growth(self, smallest: list[str]) -> None:
        row = measured("growth", *smallest, *GROWTH, "model=tiny_lora")
        assert set(row["exponents"]) == {"pairs", "prompt_tokens", "response_tokens", "vocabulary", "ensemble"}
        assert [point["size"] for point in row["points"]["prompt_tokens"]] == [8, 16]
        assert [point["size"] for point in row["points"]["ensemble"]] == [1, 2]
        assert all(point["seconds"] > 0 for points in row["points"].values() for point in points)


@pytest.mark.usefixtures("in_threads")
def test_sampling_against_generate(smallest: list[str]) -> None:
    from benchmarks.sampling import measure

    row = measure(read_bench([*smallest, "task.max_new_tokens=5"], TAKEN["sampling"]))
    assert row["ratio_generate"] > 0 and row["ratio_generate_ends"] > 0
    ours, theirs = (row["sides"][place]["turns"][0]["tokens"] for place in (0, 1))
    assert ours == theirs == 20


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["step", "round"])
def test_against_trl_from_the_command_line(name: str, smallest: list[str], tmp_path: Path) -> None:
    if reason := trl_peer.missing():
        pytest.skip(reason)
    more = ("as_it_comes=false", "task.max_new_tokens=5") if name == "round" else ("model=tiny_lora",)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *smallest, *more, f"json={tmp_path}/out.json"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "out.json").read_text())
    names = {"step": ("ratio_trl", "ratio_trl_precomputed"), "round": ("ratio_trl_online",)}[name]
    assert all(row[one] > 0 and len(row[f"{one}_spread"]) == 2 for one in names)
    assert row["skipped"] is None


def test_without_trl_ours_is_measured_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl_peer.importlib.util, "find_spec", lambda name: None)
    reason = trl_peer.missing()
    assert reason is not None and "[bench]" in reason and "peer=none" in reason


def test_the_faster_precision_of_each_side_is_compared() -> None:
    by_precision = {"float32": ([2.0, 2.0], [9.0, 9.0]), "bfloat16": ([3.0, 3.0], [8.0, 4.0])}
    found = best_ratio(by_precision)
    assert (found.value, found.low, found.high) == (3.0, 2.0, 4.0)


class Rival:
    name = "rival"

    def __init__(self, tokens: list[int], reference: list[list[tuple[float, float]]] | None) -> None:
        self.facts = {"tokens": tokens, "reference": reference}


def test_a_rival_must_have_the_same_tokens_and_log_probs() -> None:
    ours = {"tokens": [3], "reference": [[(-1.0, -2.0)]]}
    check_same(ours, Rival([3], [[(-1.001, -2.0)]]), "float32")  # type: ignore[arg-type]
    check_same(ours, Rival([3], None), "float32")  # type: ignore[arg-type]
    check_same(ours, Rival([3], [[(-1.1, -2.0)]]), "bfloat16")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="rival had"):
        check_same(ours, Rival([4], None), "float32")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="differ from ours by 0.1 nats"):
        check_same(ours, Rival([3], [[(-1.1, -2.0)]]), "float32")  # type: ignore[arg-type]


def test_tokens_count_up_to_and_with_the_end() -> None:
    drawn = torch.tensor([[5, 9, 0, 0], [5, 5, 5, 5], [9, 9, 9, 9]])
    assert _response_tokens(drawn, [9]) == 2 + 4 + 1
    assert _response_tokens(drawn, None) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pairs=0"], "pairs: expected at least 1"),
        (["warmup=-1"], "warmup=-1: expected 0 or more"),
        (["sizes=1"], "sizes=1: expected at least 2"),
        (["precision=half"], "precision=half: expected one of float32, bfloat16, both"),
        (["precision=both"], "precision=both: without adapters"),
        (["peer=vllm"], "peer=vllm: expected one of trl, none"),
        (["repeat=3"], "did you mean repeats"),
        (["F=2"], "F=2: a key of src.train that means nothing here"),
        (["jsn=a.json"], "did you mean json"),
        (["json=."], "that is a folder"),
        (["json=a", "json=b"], "json is given twice"),
        (["data.path=nowhere"], "nowhere"),
        (["pairs=1,2"], "one value only"),
    ],
)
def test_mistakes(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_bench(arguments, ("peer", "sizes"))


README = (ROOT / "benchmarks" / "README.md").read_text()
LINES = re.findall(r"^python -m benchmarks\.(\w+) (.*)$", README, re.MULTILINE)


def test_the_readme_shows_every_command() -> None:
    assert {name for name, _ in LINES} == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), LINES, ids=[" ".join(line) for line in LINES])
def test_every_command_of_the_readme(name: str, arguments: str, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"prompt": "{split}", "label": "b"}}\n')
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "measured.json").write_text("{}")
    if name in OF_COMMANDS:
        assert arguments.split("#")[0].strip() in ("repeats=9", "seeds=4", "out=acceptance")
        return
    if name == "plan":  # measures nothing, and has keys of its own
        read_plan([part.replace("=FILE", f"={tmp_path}/measured.json") for part in arguments.split()])
        return
    read_bench([part.replace("=DIR", f"={tmp_path}") for part in arguments.split()], TAKEN[name])


def test_a_path_of_data_means_files(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}", "label": "b"}}\n')
    bench = read_bench([f"data.path={tmp_path}"], ())
    assert bench.config.data.load("tldr").train[0].prompt == "train"
    assert bench.plain["data"]["path"] == str(tmp_path)
