"""What a long run is looked at for; `python -m reliability.long_run` makes one of 20,000 steps."""

from pathlib import Path

import pytest

from reliability.long_run import Look, finding, watched


def looks(steps: int, memory=lambda step: 1e8, files=lambda step: 5, cpu=lambda step: step * 0.01) -> list[Look]:
    return [Look(step, cpu(step), int(memory(step)), files(step)) for step in range(0, steps, 10)]


def test_a_steady_run_has_nothing_wrong() -> None:
    found = finding(looks(20_000), 20_000)
    assert found.problems() == [] and found.growth == 0 and found.files == (5, 5)
    assert found.first == pytest.approx(10) and found.last == pytest.approx(10, rel=0.01)


def test_what_happens_before_it_settles_is_left_out() -> None:
    growing = looks(20_000, memory=lambda step: 1e8 + min(step, 1000) * 1e5, files=lambda step: 90 if step < 900 else 5)
    assert finding(growing, 20_000).problems() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"memory": lambda step: 1e8 + step * 80}, "memory grew by 1."),
        ({"files": lambda step: 5 + step // 5000}, "open files: 5 to 8"),
        ({"cpu": lambda step: step * 0.01 + step**2 * 1e-7}, "longer in the last quarter"),
    ],
)
def test_what_grows_is_named(changed: dict, said: str) -> None:
    [problem] = finding(looks(20_000, **changed), 20_000).problems()
    assert said in problem


@pytest.mark.slow
@pytest.mark.nightly
def test_a_run_of_some_steps_does_not_grow(tmp_path: Path) -> None:
    found = finding(watched(tmp_path, 240, "T", every=0.1), 240)
    assert found.growth < 0.01 and found.files[1] - found.files[0] <= 2


def test_a_run_that_fails_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the run's folder would be")
    with pytest.raises(RuntimeError):
        watched(tmp_path, 2, "0", every=0.1)
