"""The proxy of a run: fitted once to pairs of its SFT policy, kept, and asked for its scores."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import train
from src.collection.dataset_pairs import DatasetPairs
from src.learning.learner import Learner
from src.oracles.comparer import Comparer
from src.oracles.proxy import ProxyOracle
from src.oracles.reward_model import RewardModelOracle
from src.records import Prompt, Row
from src.reward_fitting import proxy as module
from src.reward_fitting.proxy import with_fitted_proxy
from src.runtime.report import Report
from src.storage.rows import read_rows
from tests.experiments import SMOKE, built, configured, left_behind
from tests.forked import Forked
from tests.reward_fitting.proxies import PROXY


def proxies(cache: Path) -> set[str]:
    """The proxies that are whole."""
    return {made.parent.name for made in cache.glob("proxy-*/made.json")}


def fitted(cache: Path, run: Path, *overrides: str) -> Any:
    """The configuration with its proxy fitted."""
    config, _, _ = configured(cache, *PROXY, *overrides)
    run.mkdir(exist_ok=True)
    return with_fitted_proxy(config, config.data.load(config.task.name), run, Report())


@pytest.fixture(scope="module")
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of SFT policies, with proxies that hold nothing."""
    return tmp_path_factory.mktemp("cache")


def named(cache: Path, run: Path, *overrides: str) -> str:
    """The name of the folder of a proxy; nothing is fitted."""
    facts = {"pairs": 1, "held_out_pairs": 1, "gold_agreement": None, "accuracy": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_fitted", lambda *_: facts)
        return Path(fitted(cache, run, *overrides).oracle.path).name


def test_it_is_fitted_once_and_shared_by_runs_from_one_sft_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, fits = tmp_path / "cache", []
    real = module.split_and_fit
    monkeypatch.setattr(module, "split_and_fit", lambda *given: fits.append(given[1]) or real(*given))
    first = fitted(cache, tmp_path / "first", "oracle.temperature=0.5")
    others = ("seed=1", "F=1", "loss=ipo", "oracle.flip=0.2", "allocation.depth=2", "collect.temperature=0.7")
    second = fitted(cache, tmp_path / "second", *others)
    assert len(fits) == 1 and len(fits[0]) == 16  # pairs and held-out pairs
    [name] = proxies(cache)
    assert isinstance(first.oracle, RewardModelOracle) and first.oracle.path == second.oracle.path
    assert Path(first.oracle.path) == cache / name
    assert (first.oracle.temperature, first.oracle.flip) == (0.5, 0.0)
    assert (second.oracle.temperature, second.oracle.flip) == (0.0, 0.2)
    [facts] = read_rows(cache / name / "reward.json")
    assert (facts["pairs"], facts["held_out_pairs"], facts["held_out_prompts"]) == (12, 4, 4)
    assert facts["gold_agreement"]["n"] <= 4 == facts["accuracy"]["n"]
    for run in ("first", "second"):
        [row] = read_rows(tmp_path / run / "proxy.json")
        assert row == {"path": first.oracle.path, **facts}
    said = f"{facts['gold_agreement']['value']:.1%} ["
    assert capsys.readouterr().out.count(f"proxy: fitted to 12 pairs; agreement on 4 held-out pairs: {said}") == 2


@pytest.mark.parametrize(
    "change",
    [
        "model.sft.seed=1", "oracle.seed=1", "oracle.pairs=11", "oracle.held_out_pairs=5", "oracle.steps=3",
        "oracle.batch_size=3", "oracle.learning_rate=0.1", "oracle.annotator.temperature=1",
        "oracle.annotator.flip=0.1", "oracle.max_length=200", "data.seed=1", "task=helpfulness",
        "model.sft.steps=11",
    ],
)  # fmt: skip
def test_what_shapes_it_is_in_its_key(change: str, tmp_path: Path, empty_cache: Path) -> None:
    assert named(empty_cache, tmp_path, change) != named(empty_cache, tmp_path)


@pytest.mark.parametrize(
    "change", ["seed=1", "F=1", "reference=sft", "oracle.temperature=1", "oracle.batch_tokens=64", "T=8", "device=cpu"]
)
def test_what_does_not_is_not(change: str, tmp_path: Path, empty_cache: Path) -> None:
    assert named(empty_cache, tmp_path, change) == named(empty_cache, tmp_path)


def test_a_damaged_one_is_named_and_made_again_to_the_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache"
    folder = Path(fitted(cache, tmp_path / "run").oracle.path)
    weights = folder / "model.safetensors"
    whole = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "made.json"}
    damaged = bytearray(whole[weights.name])
    damaged[-5] ^= 1
    weights.write_bytes(damaged)
    assert Path(fitted(cache, tmp_path / "run").oracle.path) == folder
    assert f"{weights} is damaged; it is made again" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "made.json"} == whole


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("seed=1", "F=1", "allocation.depth=2", "collect.temperature=0.3", "oracle.flip=0.45", "batch_size=8"), True),
        (("oracle.seed=1",), False),
    ],
)
def test_whichever_run_fits_it_the_weights_are_the_same(change: tuple[str, ...], same: bool, tmp_path: Path) -> None:
    weights = []
    for name, overrides in {"first": (), "second": change}.items():
        folder = Path(fitted(tmp_path / name, tmp_path, *overrides).oracle.path)
        weights.append((folder / "model.safetensors").read_bytes())
    assert (weights[0] == weights[1]) == same


def test_the_datas_own_pairs_need_none(tmp_path: Path, cache: Path) -> None:
    config, _, _ = configured(cache, *PROXY)
    asked_by_nobody = replace(config, collect=DatasetPairs())
    splits = config.data.load(config.task.name)
    assert with_fitted_proxy(asked_by_nobody, splits, tmp_path, Report()) is asked_by_nobody
    gold, _, _ = configured(cache)
    assert with_fitted_proxy(gold, splits, tmp_path, Report()) is gold
    assert not (tmp_path / "proxy.json").exists()


def test_it_labels_and_its_mean_score_is_in_every_row(tmp_path: Path, cache: Path) -> None:
    run = built(tmp_path / "run", cache, *PROXY, "F=2")
    assert isinstance(run.collection.oracle.oracle, RewardModelOracle)
    run.run()
    proxy = Comparer(run.collection.oracle.oracle, None)
    rows = read_rows(tmp_path / "run" / "results.jsonl")
    assert [(row["split"], row["step"]) for row in rows] == [
        ("validation", 0), ("validation", 2), ("test", 0), ("test", 4),
    ]  # fmt: skip
    for row in rows:
        assert (row["oracle"], row["judge"], row["judge_is_oracle"]) == ("proxy", "gold", False)
        samples = [
            sample
            for sample in read_rows(tmp_path / "run" / "samples.jsonl")
            if (sample["split"], sample["step"]) == (row["split"], row["step"])
        ]
        scores = proxy.scores(prompts(samples), [sample["response"] for sample in samples])
        assert row["proxy_score_mean"] == pytest.approx(float(np.mean(scores)), abs=1e-5)
        assert row["judge_score_mean"] == pytest.approx(np.mean([sample["response_score"] for sample in samples]))
    pairs = read_rows(tmp_path / "run" / "pairs" / "round_001.jsonl")
    for pair in pairs:
        first, second = (response["score"] for response in pair["responses"])
        assert pair["chosen"] == (None if first == second else int(second > first))


def prompts(rows: list[dict[str, Any]]) -> list[Prompt]:
    return [Prompt(number, Row(row["prompt"], ""), (), ()) for number, row in enumerate(rows)]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = (*PROXY, "F=2", "evaluate.every=1", "oracle.temperature=0.5")
    built(tmp_path / "whole", cache, *overrides).run()

    class Killed(BaseException):
        pass

    real = Learner.step

    def step(self: Learner, number: int, batch: Any) -> Any:
        if number == 3:
            raise Killed
        return real(self, number, batch)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Learner, "step", step)
        built(tmp_path / "run", cache, *overrides).run()
    built(tmp_path / "run", cache, *overrides).run()
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.nightly
def test_runs_that_start_at_once_fit_it_once(tmp_path: Path) -> None:
    arguments = (*SMOKE, *PROXY, f"cache={tmp_path / 'cache'}", "device=cpu", "evaluate.every=0")
    jobs = [Forked(train.main, tmp_path, *arguments, f"seed={seed}") for seed in range(2)]
    outputs = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    assert sum("fitting: 2 steps" in output for output in outputs) == 1
    assert len(proxies(tmp_path / "cache")) == 1
    rows = [read_rows(file)[0] for file in tmp_path.glob("outputs/*/proxy.json")]
    assert len(rows) == 2 and rows[0] == rows[1]


def test_a_run_names_the_proxy_by_its_option(tmp_path: Path, cache: Path) -> None:
    """The names of proxies of several SFT policies are one, so that their runs can be compared."""
    for seed in (0, 1):
        config, _, _ = configured(cache, *PROXY, f"model.sft.seed={seed}")
        assert isinstance(config.oracle, ProxyOracle) and config.oracle.name == "proxy"
    identity = json.loads((built(tmp_path / "run", cache, *PROXY).folder.path / "identity.json").read_text())
    assert identity["oracle"] == "proxy"
