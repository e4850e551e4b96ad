from pathlib import Path

import numpy as np
import pytest
import yaml

from analysis.cells import Cell, cut_down, make_grid, matrix, methods_of, missing, subgrid
from analysis.commands import DEFAULTS, commands
from analysis.methods import BPO_2, OFFLINE_METHOD, PAPER
from analysis.runs import Run
from tests.analysis.made_runs import METHODS, row

ROOT = Path(__file__).parents[2]


def made(
    tasks: str = "ab", losses: tuple[str, ...] = ("dpo",), seeds: range = range(3), **changes: object
) -> list[Run]:
    return [
        Run(f"{method},{task},{loss},{seed}",
            row(100 + seed, **METHODS[method] | changes | {"task": task, "loss": loss, "seed": seed}), (), {}, None)
        for method in METHODS for task in tasks for loss in losses for seed in seeds
    ]  # fmt: skip


def without(runs: list[Run], *names: str) -> list[Run]:
    left = [run for run in runs if not any(name in run.where for name in names)]
    assert len(left) < len(runs)
    return left


def test_a_whole_grid_has_no_hole() -> None:
    grid, notes, problems = make_grid(made())
    assert missing(grid) == [] and notes == [] and problems == []
    assert methods_of(grid) == sorted(PAPER) and cut_down(grid)[0] == grid


def test_every_hole_is_named_with_its_command() -> None:
    grid, _, _ = make_grid(without(made(), "bpo2,a,dpo,1", "bpo2,a,dpo,2", "onpolicy,b,dpo,0"))
    holes = missing(grid)
    assert {cell[:2] + cell[3:] for cell in holes} == {("a", "dpo", 1), ("a", "dpo", 2), ("b", "dpo", 0)}
    lines = commands(holes, grid)
    assert len(lines) == 2
    assert "python -m src.train task=a loss=dpo F=2 reference=behavior -m seed=1,2" in lines[0]
    assert "python -m src.train task=b loss=dpo F=T reference=sft -m seed=0" in lines[1]


def test_the_command_says_what_differs_from_the_defaults() -> None:
    grid, _, _ = make_grid(without(made(T=128, ensemble=5, model="other"), "offline,a,dpo,0"))
    assert "T=128 ensemble=5 model=other -m seed=0" in commands(missing(grid), grid)[0]


def test_the_defaults_are_those_of_the_program() -> None:
    document = yaml.safe_load((ROOT / "conf" / "train.yaml").read_text())
    groups = {key: value for entry in document["defaults"] if isinstance(entry, dict) for key, value in entry.items()}
    assert {key: (document | groups)[key] for key in DEFAULTS} == DEFAULTS


def test_the_command_of_a_method_that_nobody_has_run_names_it() -> None:
    grid, _, _ = make_grid(made(T=128))
    others = subgrid(grid, lambda cell: cell.method != BPO_2)
    first = "python -m src.train task=a loss=dpo F=2 reference=behavior T=128 -m seed=7"
    assert first in commands([Cell("a", "dpo", BPO_2, 7)], others)[0]
    assert first in commands([Cell("a", "dpo", BPO_2, 7)], subgrid(grid, lambda cell: cell == next(iter(others))))[0]
    grid, _, _ = make_grid(made())
    others = subgrid(grid, lambda cell: cell.method.F != 0)
    [on_policy] = {cell.method for cell in grid if (cell.method.F, cell.method.reference) == (0, "sft")}
    assert "F=T reference=sft -m seed=7" in commands([Cell("a", "dpo", on_policy, 7)], others)[0]


def test_the_command_has_the_methods_own_settings() -> None:
    runs = [
        Run(
            run.where,
            run.row,
            (),
            {"reference.rate": 0.1, "reference._target_": "x", "reference.from_sampling": False},
            None,
        )
        if run.where.startswith("bpo2")
        else run
        for run in without(made(), "bpo2,a,dpo,0")
    ]
    grid, _, _ = make_grid(runs)
    assert "F=2 reference=behavior reference.rate=0.1 -m seed=0" in commands(missing(grid), grid)[0]


@pytest.mark.parametrize("order", [1, -1])
def test_the_commands_settings_are_those_of_the_same_task_and_then_of_the_same_loss(order: int) -> None:
    own = {("a", "dpo"): 100, ("a", "ipo"): 101, ("b", "dpo"): 102, ("b", "ipo"): 103}
    runs = [run for (task, loss), T in own.items() for run in made(task, (loss,), T=T)][::order]
    whole, _, _ = make_grid(runs)
    for (task, loss), T in own.items():
        cell = next(cell for cell in whole if cell[:2] == (task, loss) and cell.method == BPO_2)
        grid = subgrid(whole, lambda one, cell=cell: one != cell)  # type: ignore[misc]
        assert f"T={T} -m" in commands([cell], grid)[0]
        # Without any run of the task and the loss, another loss on the same task says more than another task.
        grid = subgrid(whole, lambda one, cell=cell: one[:2] != cell[:2])  # type: ignore[misc]
        [other] = [T for (task_, loss_), T in own.items() if task_ == task and loss_ != loss]
        assert f"T={other} -m" in commands([cell], grid)[0]


@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_first_three_that_are_left_out_are_named(count: int) -> None:
    runs = made()
    _, [note], _ = make_grid([*runs, *(twin(run, f"twin {run.where}") for run in runs[:count])])
    assert note.startswith(f"{count} runs are there twice")
    names = note.split("left out: ")[1]
    assert names.count("dpo") == min(count, 3) and names.endswith(", ...") == (count > 3)


def test_a_grid_of_one_seed_lacks_four_more() -> None:
    grid, _, _ = make_grid(made(seeds=range(2, 3)))
    assert sorted({cell.seed for cell in missing(grid)}) == [3, 4, 5, 6]
    assert cut_down(grid)[0] == {}


def test_a_method_with_a_hole_goes_and_the_rest_stays() -> None:
    grid, _, _ = make_grid(without(made(), "bpo2,a,dpo,1"))
    rest, dropped = cut_down(grid)
    assert dropped.methods == ["BPO F=2"] and dropped.pairs == []
    assert rest == subgrid(grid, lambda cell: cell.method != BPO_2) and "BPO F=2" in str(dropped)


def test_a_task_that_lacks_seeds_goes_and_the_rest_stays() -> None:
    grid, _, _ = make_grid(without(made("abc"), "c,dpo,1", "c,dpo,2"))
    rest, dropped = cut_down(grid)
    assert dropped.pairs == ["c with dpo"] and dropped.methods == []
    assert {cell.task for cell in rest} == {"a", "b"} and missing(rest) == []


def test_cutting_down_ends_without_holes_whatever_is_missing() -> None:
    generator = np.random.default_rng(0)
    for share in (0.05, 0.3, 0.8):
        for _ in range(10):
            runs = made("abc", ("dpo", "ipo"))
            kept = [run for run in runs if generator.random() > share]
            rest, _ = cut_down(make_grid(kept)[0])
            assert missing(rest) == [] and set(rest) <= set(make_grid(runs)[0])


def twin(run: Run, where: str, evaluations: int = 0, **changes: object) -> Run:
    return Run(where, {**run.row, "config_hash": where, **changes}, (run.row,) * evaluations, {}, None)


def test_a_run_in_two_folders_is_one_and_said_so() -> None:
    runs = made()
    grid, notes, problems = make_grid([*runs, Run("elsewhere", runs[0].row, (), {}, None)])
    assert problems == [] and len(grid) == len(runs) and "1 runs are there twice, in another folder" in notes[0]


def test_two_runs_of_one_identity_and_other_results_are_refused_by_name() -> None:
    runs = made()
    _, _, problems = make_grid([*runs, Run("elsewhere", {**runs[0].row, "kl_sft": 9.0}, (), {}, None)])
    assert len(problems) == 1 and "elsewhere" in problems[0] and runs[0].where in problems[0]


def test_two_configurations_of_one_identity_with_other_results_are_refused() -> None:
    runs = made()
    _, _, problems = make_grid([*runs, twin(runs[0], "elsewhere", win_rate=0.9)])
    assert len(problems) == 1 and "0.9000 in elsewhere" in problems[0]


def test_offline_runs_with_both_references_are_one_and_said_so() -> None:
    runs = made()
    offline = [run for run in runs if run.row["F"] == 1]
    grid, notes, problems = make_grid([*(twin(run, f"twin {run.where}", reference="sft") for run in offline), *runs])
    assert problems == [] and len(notes) == 1 and "6 runs are there twice" in notes[0] and "twin" in notes[0]
    assert all(run.row["reference"] == "behavior" for cell, run in grid.items() if cell.method == OFFLINE_METHOD)


def test_of_the_same_run_the_one_evaluated_most_often_is_taken() -> None:
    runs = made()
    grid, notes, problems = make_grid([*runs, twin(runs[0], "often", 9), twin(runs[0], "seldom", 2)])
    assert problems == [] and "2 runs are there twice" in notes[0] and "seldom" in notes[0]
    assert [run.where for run in grid.values()].count("often") == 1 and len(grid) == len(runs)


def test_a_matrix_has_a_row_a_seed_and_a_column_a_pair() -> None:
    runs = made("ab", ("dpo", "ipo"))
    for number, run in enumerate(runs):
        run.row["judge_score_mean"] = float(number)  # type: ignore[index]
    grid, _, _ = make_grid(runs)
    found = matrix(grid, OFFLINE_METHOD, "judge_score_mean")
    # Made in the order task, loss, seed; pairs are loss by loss: a dpo, b dpo, a ipo, b ipo.
    assert found.tolist() == [[0, 6, 3, 9], [1, 7, 4, 10], [2, 8, 5, 11]]
    del grid[Cell("a", "dpo", OFFLINE_METHOD, 0)]  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        matrix(grid, OFFLINE_METHOD, "judge_score_mean")


def test_an_empty_grid() -> None:
    assert missing({}) == [] and cut_down({})[0] == {} and commands([], {}) == []
