"""What differences of log-probs end a run, are warned of, or pass."""

import math

import pytest

from src.runtime.errors import RunError
from src.samplers.agreement import Agreement


def told(agreement: Agreement, difference: float) -> list[str]:
    said: list[str] = []
    agreement.judge({"a": 1e-9, "b": difference}, said.append)
    return said


@pytest.mark.parametrize(
    ("explained", "passes", "warned", "ends"),
    [
        (3e-7, 4e-4, 6e-4, 1.1e-3),  # both in float32: a thousandth of what another adapter makes
        (0.008, 0.04, 0.06, 0.11),  # bfloat16
        (0.015, 0.07, 0.1, 0.16),
        (0.05, 0.09, 0.15, 0.21),  # never more than 0.2
        (None, 0.02, 0.04, 0.06),  # a resumed run
    ],
)
def test_a_round_is_held_against_the_trial(explained, passes, warned, ends) -> None:
    agreement = Agreement(float32=True, warn_above=None, end_above=None)
    agreement.explained = explained
    assert told(agreement, passes) == []
    [line] = told(agreement, warned)
    assert line.startswith(f"b: {warned:.1e}") and "a: " not in line
    with pytest.raises(RunError, match=f"b: {ends:.1e}: .*None of them was annotated.*In order of likelihood: .*start"):
        told(agreement, ends)


def test_limits_of_ones_own() -> None:
    agreement = Agreement(float32=True, warn_above=0.2, end_above=0.5)
    agreement.explained = 1e-7
    assert told(agreement, 0.19) == [] and len(told(agreement, 0.21)) == 1
    with pytest.raises(RunError, match="more than 5.0e-01"):
        told(agreement, 0.51)


def test_a_difference_that_is_no_number_ends_the_run() -> None:
    with pytest.raises(RunError, match="b: nan"):
        told(Agreement(True, None, None), math.nan)


def test_the_trial_says_the_precision_or_ends_the_run() -> None:
    said: list[str] = []
    agreement = Agreement(float32=True, warn_above=None, end_above=None)
    agreement.try_out({"a": 1e-6, "b": 2e-6}, said.append)
    assert agreement.explained == 2e-6 and said == []
    agreement.try_out({"a": 1e-6, "b": 9e-3}, said.append)
    assert agreement.explained == 9e-3 and "--dtype float32" in said[0] and "b: 9.0e-03" in said[0]
    for difference in (9e-3, 0.09):  # in bfloat16 here too
        Agreement(False, None, None).try_out({"b": difference}, said.append)
    assert len(said) == 1
    with pytest.raises(RunError, match="^b: 1.1e-01: with the same"):
        Agreement(False, None, None).try_out({"b": 0.11}, said.append)
    with pytest.raises(RunError, match="^b: 6.0e-02: with the same random changes.*another model is served"):
        agreement.try_out({"a": 1e-6, "b": 0.06}, said.append)
