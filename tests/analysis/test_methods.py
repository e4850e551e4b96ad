from itertools import combinations

import numpy as np
import pytest

from analysis.methods import BPO_2, BPO_T, OFFLINE_METHOD, ON_POLICY, PAPER, Method, method_of, overrides_of, varying
from analysis.runs import Run
from tests.analysis.made_runs import row


def run(settings: dict | None = None, **changes: object) -> Run:
    return Run("x", row(**changes), (), settings or {}, None)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"F": 1}, "Offline (F=1)"),
        ({"F": 1, "reference": "sft"}, "Offline (F=1)"),
        ({"F": 1, "reference": "gold"}, "gold F=1"),
        ({"F": 2}, "BPO F=2"),
        ({"F": 64}, "BPO F=T"),
        ({"F": 64, "T": 625}, "BPO F=64"),
        ({"F": 64, "reference": "sft"}, "On-policy (F=T, sft)"),
        ({"F": 2, "reference": "sft"}, "sft F=2"),
        ({"F": 64, "reference": "gold"}, "gold F=T"),
        ({"F": 8, "reference": "ema"}, "ema F=8"),
        ({"F": 1, "T": 1}, "Offline (F=1)"),
        ({"F": 2, "T": 2}, "BPO F=2"),
    ],
)
def test_names(changes: dict, name: str) -> None:
    assert method_of(run(**changes)).name == name


def test_the_papers_methods() -> None:
    assert [method_of(run(**change)) for change in ({"F": 1}, {"F": 64, "reference": "sft"}, {"F": 2}, {"F": 64})] == [
        OFFLINE_METHOD, ON_POLICY, BPO_2, BPO_T,
    ]  # fmt: skip


def test_what_varies_stands_in_the_name_and_what_does_not_does_not() -> None:
    runs = [run(ensemble=size) for size in (1, 5)]
    varied = varying(runs)
    assert varied == {"ensemble"}
    assert [method_of(one, varied).name for one in runs] == ["BPO F=2, ensemble 1", "BPO F=2, ensemble 5"]
    assert varying([run(ensemble=5), run(ensemble=5, F=1)]) == frozenset()


def test_legends_put_offline_first_then_on_policy_then_bpo_by_rounds() -> None:
    of = [({"F": rounds, "reference": name}) for rounds in (64, 16, 2, 1) for name in ("gold", "behavior", "sft")]
    names = [method.name for method in sorted({method_of(run(**change)) for change in of})]
    assert names[:5] == ["Offline (F=1)", "On-policy (F=T, sft)", "BPO F=2", "BPO F=16", "BPO F=T"]


def test_the_command_of_a_method_has_the_settings_of_its_reference() -> None:
    gold = run({"reference.path": "some/run", "reference._target_": "x", "loss.beta": 0.1}, F=64, reference="gold")
    assert overrides_of(gold) == ["F=T", "reference=gold", "reference.path=some/run"]
    assert overrides_of(run(F=2)) == ["F=2", "reference=behavior"]


# Linear-light simulations of full dichromacy (Vienot, Brettel and Mollon 1999), and the luminance alone.
SIGHTS = {
    "trichromat": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


@pytest.mark.parametrize("sight", list(SIGHTS))
def test_the_papers_methods_stay_apart_for_every_sight(sight: str) -> None:
    colors = {method.name: np.array([int(method.color[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for method in PAPER}
    seen = {name: np.clip(SIGHTS[sight] @ color**2.2, 0, 1) ** (1 / 2.2) for name, color in colors.items()}
    for first, second in combinations(seen, 2):
        assert np.abs(seen[first] - seen[second]).max() > 0.15, (first, second)


def test_a_figure_has_no_two_methods_that_look_the_same() -> None:
    methods = [Method(2, rounds, "behavior") for rounds in (2, 4, 8, 16)] + list(PAPER)
    methods += [Method(2, 2, "behavior", variant) for variant in ("ensemble 2", "ensemble 5", "balanced")]
    methods += [Method(4, 2, "sft"), Method(5, 0, "gold"), Method(5, 0, "ema")]
    looks = {(method.color, method.marker) for method in methods}
    assert len(looks) == len(set(methods))
