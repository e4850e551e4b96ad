from pathlib import Path

import pytest
import torch

from benchmarks.acceptance import SECTIONS, SHAPES, TARGETS, Target, figures, measurements, peak_of_trl
from benchmarks.arguments import read_bench
from benchmarks.planning.architecture import KNOWN
from benchmarks.random_base import SHAPES as RANDOM
from benchmarks.random_base import TYPES, write_base

TAKEN = {
    "step": ("peer",),
    "sampling": ("peer", "start"),
    "round": ("reference", "peer", "start", "as_it_comes"),
}


def side(name: str, *peaks: int) -> dict[str, object]:
    return {"side": name, "turns": [{"peak_bytes": peak} for peak in peaks]}


def test_every_target_is_of_a_measurement_that_is_made(tmp_path: Path) -> None:
    made = {(one.section, one.name) for one in measurements(SECTIONS, SHAPES, "cuda", tmp_path, tmp_path, ())}
    assert set(TARGETS) <= made
    assert {section for section, _ in made} == set(SECTIONS)


def test_the_models_of_the_targets_come_first(tmp_path: Path) -> None:
    first = measurements(("sampling", "step"), SHAPES, "cuda", tmp_path, tmp_path, ())[0]
    assert (first.section, first.name) == ("step", "gemma_2b ensemble=5")


@pytest.mark.parametrize("shape", ["gemma_2b", "toy"])
def test_the_benchmarks_take_what_they_are_given(shape: str, tmp_path: Path) -> None:
    """Their configuration is composed and checked; the toy stands for the weights of every shape."""
    base = tmp_path / shape
    write_base(base, "toy", torch.device("cpu"), rows=20, scale=0.1)
    sections = ("step", "sampling", "round")
    for one in measurements(sections, (shape,), "cpu", tmp_path, tmp_path / "out", ()):
        words = list(one.words[2:])
        assert one.words[:2] == ("-m", f"benchmarks.{one.section}")
        bench = read_bench(words, TAKEN[one.section])
        assert bench.json == one.json
        assert bench.config.model.path == str(base) and bench.config.task.name == "tldr"


def test_the_tests_and_the_grid_take_the_device_and_the_overrides(tmp_path: Path) -> None:
    tests, grid = measurements(("correctness", "grid"), SHAPES, "cuda:0", tmp_path, tmp_path, ("seed=3",))
    assert tests.words[3:5] == ("-m", "gpu")
    assert {"seed=3", "device=cpu", "--rows-only", str(tmp_path / "grid.jsonl.gz")} <= set(grid.words)
    assert measurements(("correctness",), SHAPES, "cpu", tmp_path, tmp_path, ())[0].words[4] == "not gpu"


def test_a_target_is_a_bound_from_below_or_from_above() -> None:
    assert Target("ratio", 2.5).met(2.5) and not Target("ratio", 2.5).met(2.49)
    assert Target("peak", 0.2, at_most=True).met(0.2) and not Target("peak", 0.2, at_most=True).met(0.21)


def test_peak_memory_is_compared_with_the_precomputed_reference() -> None:
    sides = [side("ours", 10, 30, 20), side("TRL", 1000), side("TRL, precomputed", 100, 80)]
    assert peak_of_trl({"sides": sides}) == pytest.approx(20 / 90)
    assert peak_of_trl({"sides": sides[:2]}) is None and peak_of_trl({}) is None
    found = figures("step", {"sides": sides, "ratio_trl": 3.0, "skipped": None, "ratio_trl_spread": [2.0, 4.0]})
    assert found == {"ratio_trl": 3.0, "peak_of_trl": pytest.approx(20 / 90)}


def test_every_shape_has_a_type_of_model() -> None:
    assert set(TYPES) == set(RANDOM) == {*KNOWN, "toy"}
