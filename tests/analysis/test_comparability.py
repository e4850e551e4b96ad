from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.comparability import differences, read_where, selected, settings_of
from analysis.errors import AnalysisError
from analysis.runs import Run, flattened
from tests.analysis.made_runs import ALLOCATIONS, BALANCED, SETTINGS, config, row


def run(where: str = "x", **changes: Any) -> Run:
    rows = {key: value for key, value in changes.items() if key not in SETTINGS}
    return Run(where, row(**rows), (), dict(flattened(config(**changes))), None)


SWEEP = [
    run(f"{task} {loss} {F} {seed}", task=task, loss=loss, F=F, seed=seed)
    for task in ("tldr", "helpfulness") for loss in ("dpo", "ipo") for F in (1, 2, 64) for seed in (0, 1)
]  # fmt: skip


def test_tasks_losses_methods_and_seeds_may_differ() -> None:
    other = [run("gold", F=64, reference="gold", reference_settings={"path": "a"}), run("e", ensemble=5)]
    assert differences([*SWEEP, *other], {}) == []


def test_allocations_and_their_settings_may_differ() -> None:
    other = [run(name, seed=seed, **own) for name, own in ALLOCATIONS.items() for seed in (0, 1)]
    other += [run("8", allocation="balanced", allocation_settings=BALANCED | {"responses": 8})]
    other += [run("old", allocation_settings={})]
    assert differences([*SWEEP, *other], {}) == []


def test_a_run_from_before_a_term_of_the_loss_is_comparable_with_one_that_has_it() -> None:
    old, new, other = run("old"), run("new"), run("other")
    new = replace(new, settings={**new.settings, "loss.nll": 0.0, "loss.weighting": "none"})
    other = replace(other, settings={**other.settings, "loss.nll": 1.0, "loss.weighting": "wpo"})
    assert differences([old, new, other], {}) == []


def test_where_an_embedding_model_lies_must_agree_for_one_allocation_and_embedder() -> None:
    settings = [BALANCED | {"embedder": "embedding", "embedder_path": path} for path in ("here", "there")]
    here, there = (run(f"run{i}", allocation="balanced", allocation_settings=one) for i, one in enumerate(settings))
    assert "allocation.embedder_path is here in 1" in differences([here, there], {})[0]
    assert differences([here, run("b", **ALLOCATIONS["balanced"])], {}) == []


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"T": 32}, "T"), ({"batch_size": 8}, "batch_size"), ({"model": "other"}, "model"), ({"judge": "llm"}, "judge"),
        ({"data": "files"}, "data"), ({"temperature": 0.0}, "temperature"), ({"learning_rate": 1e-3}, "learning_rate"),
        ({"beta": 0.5}, "loss.beta"), ({"oracle": "embedding"}, "oracle"), ({"split": "validation"}, "split"),
        ({"n_prompts": 100, "losses": 0, "wins": 100}, "n_prompts"),
    ],
)  # fmt: skip
def test_everything_else_may_not_and_is_named(change: dict[str, Any], key: str) -> None:
    odd = run("the odd one", seed=7, **change)
    lines = differences([*SWEEP, odd], {})
    assert len(lines) >= 1
    assert any(f": {key} is " in line and "the odd one" in line and f"--where {key}=" in line for line in lines)


def test_settings_that_differ_together_share_a_line() -> None:
    lines = differences([*SWEEP, run("odd", seed=7, model="other", learning_rate=1.0)], {})
    assert len(lines) == 1 and "with it" in lines[0] and "learning_rate" in lines[0] and ": model is " in lines[0]


def test_how_a_run_was_carried_out_is_no_difference() -> None:
    odd = run("odd", seed=7)
    settings = dict(odd.settings) | {"evaluate.every": 4, "device": "cuda", "model.rows": 8, "logger.name": "wandb"}
    assert differences([*SWEEP, Run("odd", odd.row, (), settings, None)], {}) == []


def test_another_gold_policy_is_another_method_within_a_task() -> None:
    first, second = (
        run(path, F=64, reference="gold", seed=seed, reference_settings={"path": path})
        for seed, path in enumerate("ab")
    )
    assert "reference.path" in differences([first, second], {})[0]
    elsewhere = run("c", F=64, reference="gold", task="helpfulness", reference_settings={"path": "c"})
    assert differences([first, elsewhere], {}) == []


def test_the_datas_details_may_differ_between_tasks_only() -> None:
    first, second = (Run(task, row(task=task), (), {"data.path": task}, None) for task in ("tldr", "helpfulness"))
    assert differences([first, second], {}) == []
    third = Run("third", row(seed=1), (), {"data.path": "elsewhere"}, None)
    assert "data.path" in differences([first, second, third], {})[0]


def test_a_key_chosen_with_several_values_may_differ_between_tasks_only() -> None:
    runs = [run("a", task="tldr", T=64), run("b", task="helpfulness", T=32)]
    assert differences(runs, {}) != []
    assert differences(runs, read_where(["T=64,32"])) == []
    assert differences([*runs, run("c", task="tldr", T=32, seed=1)], read_where(["T=64,32"])) != []


@pytest.mark.parametrize(
    ("text", "count"),
    [("allocation=uniform", 24), ("allocation.depth=1", 24), ("T=64", 24),
     ("loss=ipo", 12), ("F=T", 8), ("F=1,T", 16), ("F=64", 8), ("seed=0", 12), ("learning_rate=3e-4", 24),
     ("learning_rate=0.0003", 24), ("loss.beta=0.1", 24), ("evaluate.prompts=null", 24), ("judge_is_oracle=true", 24)],
)  # fmt: skip
def test_where(text: str, count: int) -> None:
    assert len(selected(SWEEP, read_where([text]))) == count


def test_several_wheres_all_hold() -> None:
    assert len(selected(SWEEP, read_where(["loss=ipo", "seed=0", "F=1,2"]))) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [("T=65", "there are: 64"), ("bach_size=3", "batch_size"), ("T", "key=value"), ("=3", "key=value"),
     ("T=", "key=value"), ("T=1,", "key=value")],
)  # fmt: skip
def test_a_wrong_where_is_explained(text: str, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        selected(SWEEP, read_where([text]))


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(AnalysisError, match="twice"):
        read_where(["T=1", "T=2"])


def test_lines_are_no_longer_than_a_person_reads(tmp_path: Path) -> None:
    runs = [run(f"run{number}", seed=number, T=64 if number % 2 else 32) for number in range(1000)]
    assert len(differences(runs, {})[0]) < 500


def test_runs_on_other_rows_are_not_comparable_within_a_task() -> None:
    sweep = [
        Run(one.where, {**one.row, "data_fingerprint": f"rows of {one.row['task']}"}, (), one.settings, None)
        for one in SWEEP
    ]
    assert differences(sweep, {}) == []
    odd = run("the odd one", seed=7, data_fingerprint="other rows")
    (line,) = differences([*sweep, odd], {})
    assert ": data_fingerprint is " in line and "the odd one" in line and "--where data_fingerprint=" in line
    assert [one.where for one in selected([*sweep, odd], {"data_fingerprint": ["other rows"]})] == ["the odd one"]
    # Runs of earlier versions say nothing of their rows.
    assert differences([*sweep, *SWEEP], {}) == []


def test_whether_log_probs_came_from_sampling_is_no_difference() -> None:
    """Runs of earlier versions do not know the key."""
    assert "reference.from_sampling" not in settings_of(
        Run("a", row(), (), {"reference.from_sampling": True, "learning_rate": 0.1}, None)
    )
