"""Which methods a sweep compares, the standard deviations of finished runs, and the table of `--power`."""

import statistics
from pathlib import Path

import pytest
from rich.console import Console

from src.cli.compose import Job
from src.runtime.errors import ConfigError
from src.storage.run_name import config_hash
from sweeps.archive import Archive
from sweeps.contrasts import contrasts, finished_results
from sweeps.finished import Finished
from sweeps.power_table import show_power
from tests.sweeps.example import finish, job, rows

METHODS = {"on_policy": 4, "offline": 1, "bpo_f2": 2}


def grid(
    folder: Path = Path("outputs"),
    methods: dict[str, int] = METHODS,
    tasks: tuple[str, ...] = ("tldr", "helpfulness"),
    losses: tuple[str, ...] = ("dpo",),
    seeds: tuple[int, ...] = (0, 1, 2, 3),
    own_sft: bool = False,
) -> list[Job]:
    return [
        job(
            f"experiment={method}", f"task={task}", f"loss={loss}", f"seed={seed}",
            folder=folder / f"{method}-{task}-{loss}-{seed}", F=F, seed=seed, task={"name": task}, loss=loss,
            model={"scratch": {}, "sft": {"seed": seed if own_sft else 0}},
        )
        for method, F in methods.items() for task in tasks for loss in losses for seed in seeds
    ]  # fmt: skip


def results(jobs: list[Job], win_rate) -> dict:
    """Finished rows of jobs; the win rate from method, task and seed."""
    return {
        config_hash(one.plain): {
            "seed": one.plain["seed"],
            "win_rate": win_rate(one.overrides[0].partition("=")[2], one.plain["task"]["name"], one.plain["seed"]),
        }
        for one in jobs
    }


def rate(method: str, task: str, seed: int) -> float:
    gain = {"offline": 0.0, "on_policy": 0.01 * seed, "bpo_f2": 0.02 * seed**2}[method]
    return 0.5 + 0.1 * (task == "tldr") + 0.003 * seed + gain


def test_each_method_is_compared_with_the_offline_one_on_each_task() -> None:
    found = contrasts(grid(losses=("dpo", "ipo")), {})
    assert [(one.place, one.method, one.baseline, one.seeds) for one in found] == [
        (f"{task} loss={loss}", method, "offline", 4)
        for task in ("tldr", "helpfulness")
        for loss in ("dpo", "ipo")
        for method in ("on_policy", "bpo_f2")
    ]
    assert all(one.differences == [] and one.sd is None for one in found)


def test_without_an_offline_method_the_first_is_the_baseline() -> None:
    found = contrasts(grid(methods={"bpo_ft": 4, "bpo_f2": 2}, tasks=("tldr",)), {})
    assert [(one.place, one.method, one.baseline) for one in found] == [("tldr", "bpo_f2", "bpo_ft")]


def test_keys_of_one_value_are_in_no_name_and_several_keys_make_a_method() -> None:
    jobs = [
        job(f"experiment={method}", f"ensemble={members}", "T=4", f"seed={seed}", seed=seed)
        for method in ("a", "b") for members in (1, 2) for seed in (0, 1)
    ]  # fmt: skip
    found = contrasts(jobs, {})
    assert [one.method for one in found] == ["a ensemble=2", "b ensemble=1", "b ensemble=2"]
    assert {(one.place, one.baseline) for one in found} == {("tldr", "a ensemble=1")}


def test_differences_are_paired_by_seed_and_in_points() -> None:
    jobs = grid()
    found = {(one.place, one.method): one for one in contrasts(jobs, results(jobs, rate))}
    assert found["tldr", "on_policy"].differences == pytest.approx([0, 1, 2, 3])
    assert found["helpfulness", "bpo_f2"].differences == pytest.approx([0, 2, 8, 18])
    assert found["helpfulness", "bpo_f2"].sd == pytest.approx(statistics.stdev([0, 2, 8, 18]))


@pytest.mark.parametrize("own_sft", [False, True])
def test_runs_with_other_seeds_than_planned_tell_the_spread(own_sft: bool) -> None:
    """As when stage 0 or an earlier table has been run, and many seeds are planned."""
    planned = grid(seeds=tuple(range(100, 124)), own_sft=own_sft)
    found = contrasts(planned, results(grid(seeds=(0, 1, 2), own_sft=own_sft), rate))
    assert all(one.seeds == 24 and len(one.differences) == 3 for one in found)
    other = contrasts(planned, results(grid(seeds=(1, 2, 3), own_sft=not own_sft), rate))
    assert all(one.differences == [] for one in other), "runs from other SFT policies are other runs"


def test_runs_that_differ_in_more_than_the_seed_do_not_count() -> None:
    others = [job(*one.overrides, **{**one.plain, "T": 8}) for one in grid()]
    assert all(one.differences == [] for one in contrasts(grid(), results(others, rate)))


def test_only_seeds_of_both_methods_and_with_a_win_rate_count() -> None:
    jobs = grid(tasks=("tldr",))
    rows_of = results(jobs, lambda method, task, seed: None if (method, seed) == ("offline", 0) else 0.5 + seed / 100)
    del rows_of[config_hash(next(one for one in jobs if one.plain["F"] == 2 and one.plain["seed"] == 1).plain)]
    assert [len(one.differences) for one in contrasts(jobs, rows_of)] == [3, 2]
    assert [one.sd for one in contrasts(jobs, rows_of)] == [None, None], "no spread, or too few seeds"


@pytest.mark.parametrize(
    ("jobs", "message"),
    [(grid(methods={"offline": 1}), "the grid has one method"), (grid(seeds=(7,)), "two seeds or more; not so for")],
)
def test_a_grid_that_compares_nothing_is_refused(jobs: list[Job], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        contrasts(jobs, {})


def test_finished_runs_are_found_in_folders_and_in_the_archive(tmp_path: Path) -> None:
    jobs, archive = grid(tmp_path / "outputs"), Archive(tmp_path / "a.jsonl.gz")
    finish(jobs[0], win_rate=0.7)
    finish(job(folder=tmp_path / "outputs" / "another", seed=9))
    (tmp_path / "outputs" / "begun").mkdir()
    archive.add([Finished("x", {}, rows("x", win_rate=0.1)), Finished("y", {}, rows(config_hash(jobs[0].plain)))])
    found = finished_results(jobs, archive)
    assert len(found) == 3 and found["x"]["win_rate"] == 0.1
    assert found[config_hash(jobs[0].plain)]["win_rate"] == 0.6, "the archive goes first"
    assert finished_results(grid(tmp_path / "nowhere"), None) == {}


def shown(capsys: pytest.CaptureFixture[str], *arguments) -> str:
    show_power(Console(width=120, soft_wrap=True), *arguments)
    return capsys.readouterr().out


def test_the_table_has_measured_and_given_standard_deviations(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = grid(seeds=tuple(range(24)))
    found = contrasts(jobs, results([one for one in grid() if one.plain["task"]["name"] == "tldr"], rate))
    out = shown(capsys, found, 2.5, 4)
    lines = [line.split() for line in out.splitlines() if " - " in line]
    assert ["helpfulness", "bpo_f2", "-", "offline", "2.50", "(--sd)", "24", "1.8", "2.1", "21", "26"] in lines
    assert any(line[:7] == ["tldr", "on_policy", "-", "offline", "1.29", "(4", "seeds)"] for line in lines)
    assert len(lines) == 4 and "at 0.05 / 4 (the first step of Holm's procedure, 4 comparisons)" in " ".join(
        out.split()
    )
    assert "0.05 / 4 " in " ".join(shown(capsys, found, 2.5, None).split()), "by default all four"


def test_without_runs_and_without_a_number_it_says_what_to_give() -> None:
    with pytest.raises(
        ConfigError, match=r"4 of 4 comparisons.*tldr: on_policy - offline.*give --sd POINTS.*--results"
    ):
        show_power(Console(), contrasts(grid(), {}), None, None)
