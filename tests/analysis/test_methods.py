import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from analysis.allocations import Allocation
from analysis.methods import BPO_2, BPO_T, OFFLINE_METHOD, ON_POLICY, PAPER, Method, method_of, varying
from analysis.runs import Run, flattened
from tests.analysis.color_vision import VISION, as_lab
from tests.analysis.made_runs import ALLOCATIONS, BALANCED, SETTINGS, config, row


def run(settings: dict | None = None, **changes: object) -> Run:
    return Run("x", row(**changes), (), settings or {}, None)


def configured(**changes: Any) -> Run:
    rows = {key: value for key, value in changes.items() if key not in SETTINGS}
    return Run("x", row(**rows), (), dict(flattened(config(**changes))), None)


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


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ({"loss.nll": 0.0, "loss.weighting": "none"}, "sft F=2"),
        ({"loss.nll": 1.0, "loss.weighting": "none"}, "sft F=2, nll 1.0"),
        ({"loss.nll": 0.5, "loss.weighting": "wpo"}, "sft F=2, nll 0.5, weighting wpo"),
    ],
)
def test_a_term_of_the_loss_makes_another_method(loss: dict[str, Any], name: str) -> None:
    assert method_of(run(loss, F=2, reference="sft")).name == name


def test_legends_put_offline_first_then_on_policy_then_bpo_by_rounds() -> None:
    of = [({"F": rounds, "reference": name}) for rounds in (64, 16, 2, 1) for name in ("gold", "behavior", "sft")]
    names = [method.name for method in sorted({method_of(run(**change)) for change in of})]
    assert names[:5] == ["Offline (F=1)", "On-policy (F=T, sft)", "BPO F=2", "BPO F=16", "BPO F=T"]


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
    methods += [Method(2, 2, "behavior", variant=f"ensemble {size}") for size in (2, 5)]
    methods += [Method(4, 2, "sft"), Method(5, 0, "gold"), Method(5, 0, "ema")]
    allocations = [method_of(configured(**own)).allocation for own in ALLOCATIONS.values()]
    allocations += [Allocation(0, depth=4), Allocation(10, "balanced", rule="prompts"), Allocation(90, "mine")]
    of_places = [replace(method, allocation=allocation) for method in methods for allocation in allocations]
    of_places += [replace(methods[0], variant=f"embedder {name}") for name in ("policy", "embedding", "tfidf")]
    looks = {(method.color, method.marker) for method in of_places}
    assert len(looks) == len(set(of_places)) > 100
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color, _ in looks)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "BPO F=2"),
        ({"allocation_settings": {}}, "BPO F=2"),
        ({"allocation_settings": {"depth": 2}}, "BPO F=2, uniform, depth 2"),
        (ALLOCATIONS["balanced"], "BPO F=2, balanced"),
        (ALLOCATIONS["pilot"], "BPO F=2, balanced (pilot)"),
        (ALLOCATIONS["paper_order"], "BPO F=2, balanced (paper order)"),
        ({"allocation": "balanced", "allocation_settings": BALANCED | {"rule": "prompts", "mode": "pilot"}},
         "BPO F=2, balanced (pilot, rule prompts)"),
        (ALLOCATIONS["random_pairs"], "BPO F=2, random pairs"),
        (ALLOCATIONS["far_from_center"] | {"F": 64, "reference": "sft"}, "On-policy (F=T, sft), far from center"),
        ({"allocation": "my_own", "allocation_settings": {"depth": 3}, "F": 1}, "Offline (F=1), my own"),
    ],
)  # fmt: skip
def test_names_of_allocations(changes: dict, name: str) -> None:
    assert method_of(configured(**changes)).name == name


def test_a_run_without_a_configuration_has_the_name_of_its_allocation() -> None:
    assert method_of(run(allocation="balanced")).name == "BPO F=2, balanced"


def test_allocations_stand_in_legends_as_uniform_balanced_controls() -> None:
    names = [method.name for method in sorted(method_of(configured(**own)) for own in ALLOCATIONS.values())]
    assert names == [f"BPO F=2{name}" for name in (
        "", ", uniform, depth 2", ", balanced", ", balanced (pilot)", ", balanced (paper order)", ", random pairs",
        ", far from center", ", embedding depth")]  # fmt: skip


def test_any_other_setting_of_an_allocation_stands_in_the_name_where_it_differs() -> None:
    four, eight = (
        configured(allocation="balanced", allocation_settings=BALANCED | {"responses": count, "embedder_path": path})
        for count, path in ((4, "a"), (8, "b"))
    )
    assert varying([four, eight, run()]) == {"allocation.responses"}
    names = [method_of(one, varying([four, eight])).name for one in (four, eight, run())]
    assert names == ["BPO F=2, balanced, responses 4", "BPO F=2, balanced, responses 8", "BPO F=2"]
    assert varying([four, configured(**ALLOCATIONS["pilot"]), run()]) == frozenset()


def test_allocations_of_one_figure_stay_apart_for_every_sight_by_color_or_marker() -> None:
    methods = [method_of(configured(**own)) for own in ALLOCATIONS.values()]
    for first, second in combinations(methods, 2):
        assert first.marker != second.marker, (first.name, second.name)


@pytest.mark.parametrize("vision", VISION)
def test_colors_of_the_paper_s_figures_differ_for_everybody(vision: str) -> None:
    """2 is the least difference that is noticed when colors lie side by side."""
    colors = [method.color for method in (*PAPER, Method(5, 0, "gold"))]
    seen = [as_lab(color, vision) for color in colors]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 20
    assert min(abs(one[0] - other[0]) for one, other in combinations(map(as_lab, colors), 2)) > 8
