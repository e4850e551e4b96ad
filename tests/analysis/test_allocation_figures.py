"""The figures about the allocation of the budget: what is compared at which cost, and the clusters of pairs."""

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.cells import Grid, make_grid, methods_of
from analysis.drawn import read_table
from analysis.figures import allocation, budget, clusters, rounds, win_rates
from analysis.figures.figure import Kind, Study, look, rendered
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.page.svg import inline_svg
from analysis.runs import Run, flattened
from tests.analysis.made_runs import ALLOCATIONS, SETTINGS, config, plan, rows, write_plan

pytestmark = pytest.mark.slow

STUDY = Study(METRICS["win_rate"], Bootstrap(100, 0, lambda done: None))


def made(wins: int, folder: Path | None = None, **changes: Any) -> Run:
    own = {key: value for key, value in changes.items() if key not in SETTINGS}
    *before, last = rows(wins, **own)
    # A round's second evaluation had spent what its first had.
    before[1:1] = [before[1] | {"step": 16, "win_rate": 0.1}]
    return Run(f"{own}", last, tuple(before), dict(flattened(config(**changes))), folder)


def grid(names: tuple[str, ...] = tuple(ALLOCATIONS), seeds: int = 3, **changes: Any) -> Grid:
    """Later allocations are better by 3 points in the mean of three seeds, more so at later seeds."""
    found, _, problems = make_grid(
        [made(100 + 6 * place + 2 * seed + place * (seed % 3 - 1), **ALLOCATIONS[name] | changes | {"seed": seed})
         for place, name in enumerate(names) for seed in range(seeds)]
    )  # fmt: skip
    assert problems == []
    return found


def drawn(kind: Kind, cells: Grid, format: str = "svg") -> tuple[pd.DataFrame, bytes, str]:
    own = kind.cells(cells)
    assert kind.lacking(own) == ""
    table = read_table(kind.numbers(own, STUDY).to_csv(index=False))
    with look():
        picture = rendered(kind.draw(table, methods_of(own), STUDY.metric), format)
    return table, picture, kind.caption(own, table, STUDY)


def test_the_difference_is_to_uniform_of_the_same_rounds_and_reference() -> None:
    both = {**grid(("uniform", "pilot")), **grid(("uniform", "balanced"), F=64, reference="sft")}
    table, _, caption = drawn(allocation.FIGURE, both)
    over = dict(zip(table["method"], table["over_uniform"], strict=True))
    assert over == pytest.approx({"On-policy (F=T, sft)": np.nan, "On-policy (F=T, sft), balanced": 0.03,
                                  "BPO F=2": np.nan, "BPO F=2, balanced (pilot)": 0.03}, nan_ok=True)  # fmt: skip
    own = table[table["how"] != "uniform"]
    assert (own["over_low"] <= own["over_uniform"]).all() and (own["over_uniform"] <= own["over_high"]).all()
    assert set(table["group"]) == {"BPO F=2", "On-policy (F=T, sft)"}
    assert (
        "equal numbers of pairs annotated (within 5 %) and of responses generated" in caption
        and "never run" not in caption
    )
    assert "too narrow" in caption


def test_who_spends_more_is_marked() -> None:
    table, _, caption = drawn(allocation.FIGURE, grid())
    dear = table.set_index("how")["equal_annotated_pairs"]
    assert dear[~dear].index.tolist() == ["balanced (paper order)"] and table["equal_generated_responses"].all()
    assert table.set_index("how").loc["balanced (paper order)", "annotated_pairs"] == 6144
    assert "All are at equal numbers of responses generated (within 15 %)." in caption
    assert "Not at an equal number of pairs annotated (hollow marks, bold numbers): BPO F=2, balanced (paper" in caption


@pytest.mark.parametrize(("generated", "equal"), [(4096, True), (4710, True), (4711, False), (8192, False)])
def test_responses_that_were_sampled_again_are_no_other_budget(generated: int, equal: bool) -> None:
    cells = {**grid(("uniform",)), **grid(("balanced",), generated_responses=generated)}
    table, _, _ = drawn(allocation.FIGURE, cells)
    assert table["equal_generated_responses"].tolist() == [True, equal]


def test_ensembles_are_compared_with_uniform_of_their_size() -> None:
    runs = [run for size in (1, 2) for run in grid(("uniform", "balanced"), ensemble=size).values()]
    table, _, _ = drawn(allocation.FIGURE, make_grid(runs)[0])
    assert table["group"].tolist() == ["BPO F=2, ensemble 1"] * 2 + ["BPO F=2, ensemble 2"] * 2
    assert table["how"].tolist() == ["uniform", "balanced"] * 2 and table["over_uniform"].notna().tolist() == [0, 1] * 2


def test_allocations_without_uniform_are_drawn_and_the_lack_is_said() -> None:
    table, _, caption = drawn(allocation.FIGURE, grid(("balanced", "random_pairs")))
    assert table["over_uniform"].isna().all() and "uniform was never run: BPO F=2" in caption


def test_rounds_that_fell_back_are_counted(tmp_path: Path) -> None:
    runs = [made(100, seed=seed) for seed in (0, 1)]
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        write_plan(folder, plan(0))
        write_plan(folder, plan(1, fallback="too small" if seed else None))
        runs.append(made(110, folder, seed=seed, **ALLOCATIONS["balanced"]))
    table, _, caption = drawn(allocation.FIGURE, make_grid(runs)[0])
    assert table["fallback"].tolist() == pytest.approx([np.nan, 0.25], nan_ok=True)
    assert "allocated uniformly: BPO F=2, balanced in 25%" in caption


def test_a_point_of_a_budget_is_the_last_evaluation_before_more_was_spent() -> None:
    table, _, caption = drawn(budget.FIGURE, grid(("uniform", "paper_order")))
    assert table["step"].tolist() == [0, 32, 0, 32]
    assert table["annotated_pairs"].tolist() == [0, 1024, 0, 3072] and set(table["split"]) == {"validation"}
    assert table["generated_responses"].tolist() == [0, 2048, 0, 2048]
    assert table["mean"].tolist() == pytest.approx([0.45, 0.5] * 2)
    assert "stand at step 32 of 64" in caption and "200 validation prompts" in caption


def test_the_final_evaluation_is_a_point_where_its_prompts_are_the_same() -> None:
    runs = [made(100 + 20 * place + seed, seed=seed, **ALLOCATIONS[name] | {"split": "validation"})
            for place, name in enumerate(("uniform", "balanced")) for seed in (0, 1)]  # fmt: skip
    table, _, _ = drawn(budget.FIGURE, make_grid(runs)[0])
    assert table["step"].tolist() == [0, 32, 64] * 2
    assert table.loc[table["step"] == 64, "mean"].tolist() == pytest.approx([0.5025, 0.6025])


def on_disk(tmp_path: Path, prompts: int = 20, names: tuple[str, ...] = ("balanced", "pilot"), **changes: Any) -> Grid:
    runs = []
    for name in names:
        for seed in (3, 1):
            folder = tmp_path / f"{name}{seed}"
            folder.mkdir()
            write_plan(folder, plan(0, fallback="too small"))
            write_plan(folder, plan(1, prompts, seed=seed, **changes))
            runs.append(made(100, folder, seed=seed, **ALLOCATIONS[name]))
    return make_grid([*runs, made(100, seed=0)])[0]


def test_clusters_are_those_of_the_first_seed_and_the_first_round_that_has_some(tmp_path: Path) -> None:
    table, _, caption = drawn(clusters.FIGURE, on_disk(tmp_path))
    assert set(table["seed"]) == {1} and set(table["round"]) == {1} and len(table) == 2 * 120
    first = table[table["method"] == "BPO F=2, balanced"]
    written = plan(1, 20, seed=1)
    assert first["chosen"].tolist() == [pair["chosen"] for pair in written["pairs"]]
    assert first["depth"].tolist() == [written["prompts"][pair["prompt"]]["depth"] for pair in written["pairs"]]
    assert first["x"].to_numpy() == pytest.approx([pair["xy"][0] for pair in written["pairs"]], rel=1e-3)
    assert "Round 2 of one run each, seed 1: no mean over seeds" in caption and "120 of 20 prompts" in caption
    assert "every second" not in caption


def test_the_points_of_a_picture_of_clusters_are_an_image_that_the_page_keeps(tmp_path: Path) -> None:
    cells = on_disk(tmp_path, 800, ("balanced",))
    table, picture, _ = drawn(clusters.FIGURE, cells)
    assert len(table) == 4800 and len(picture) < 400_000
    (data,) = re.findall(r'href="data:image/png;base64,\s*([^"]+)"', inline_svg(picture.decode(), "x-"))
    image = Image.open(BytesIO(base64.b64decode(data)))
    assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20
    assert picture == drawn(clusters.FIGURE, cells)[1]


def test_more_candidates_than_can_be_shown_are_thinned_and_said_so(tmp_path: Path) -> None:
    table, _, caption = drawn(clusters.FIGURE, on_disk(tmp_path, 1500, ("balanced",)))
    assert len(table) == 4500 and set(table["of"]) == {9000} and "every second" in caption


@pytest.mark.parametrize("count", [1, 16, 40])
def test_any_number_of_clusters_is_drawn(tmp_path: Path, count: int) -> None:
    table, picture, _ = drawn(clusters.FIGURE, on_disk(tmp_path, 30, ("pilot",), clusters=count))
    assert table["cluster"].nunique() == count and picture


def test_figures_about_rounds_are_of_one_allocation() -> None:
    both = {**grid(("uniform", "balanced")), **grid(("balanced",), F=8), **grid(("uniform",), F=64)}
    for figure in (win_rates.FIGURE, rounds.FIGURE):
        assert {cell.method.name for cell in figure.cells(both)} == {"BPO F=2", "BPO F=T"}
    alone = {cell: run for cell, run in both.items() if cell.method.allocation.kind == "balanced"}
    assert {cell.method.name for cell in rounds.FIGURE.cells(alone)} == {"BPO F=2, balanced", "BPO F=8, balanced"}
    assert drawn(rounds.FIGURE, alone)[0]["published"].isna().all(), "the paper's runs took one pair a prompt"
