"""The command for a missing run makes exactly this run: it has every setting that is part of the run's identity."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from analysis.cells import Cell, make_grid
from analysis.commands import command_of, commands
from analysis.runs import Run
from analysis.typed_overrides import changes_from_defaults, overrides_from, typed
from src.cli.compose import compose_jobs
from src.storage.run_name import config_hash
from tests.analysis.made_runs import row


def flat(node: dict, path: str = "") -> dict:
    parts = [
        flat(value, f"{path}{key}.") if isinstance(value, dict) and value else {f"{path}{key}": value}
        for key, value in node.items()
    ]
    return {key: value for part in parts for key, value in part.items()}


def composed(*words: str) -> dict:
    [job], problems = compose_jobs(words)
    # Whether files are there is not the question.
    assert problems == [] and job.plain, (problems, job.problems)
    return job.plain


def run_of(plain: dict[str, Any], **changes: Any) -> Run:
    """The run of a composed configuration, with the fields of its row that tell runs apart."""
    keys = ("T", "batch_size", "ensemble", "seed")
    own = {key: plain[key] for key in keys} | {key: plain["choices"][key] for key in ("task", "loss", "reference")}
    own |= {"F": plain["T"] if plain["F"] == "T" else plain["F"], "allocation": plain["choices"]["allocation"]}
    made = row(**{**own, "data": plain["choices"]["data"], "model": plain["model"]["name"], **changes})
    # As read from config.yaml, without the seed.
    settings = {key: value for key, value in flat(plain).items() if key != "seed"}
    return Run(f"{made['task']} {made['seed']}", made, (), settings, None)


LINES = [
    "model=tiny_lora ensemble=2 model.lora.rank=4 model.lora.targets=[q_proj,v_proj] model.learning_rate=3e-3",
    "experiment=balanced_pilot allocation.max_depth=3 allocation.embedder=tfidf oracle.flip=0.1 loss=ipo loss.beta=0.3",
    "reference=gold reference.path=\"'my runs/a, b=c'\" F=T T=8 data.train=100 evaluate.temperature=0",
]
MORE_LINES = [
    "",
    "evaluate.every=8 evaluate.prompts=100 optimizer.weight_decay=0.1 optimizer.betas=[0.8,0.9] learning_rate=2e-4",
    "model.lora={rank:8,alpha:16,dropout:0.0,targets:all-linear} "
    "model.pretrain={steps:9,batch_size:8,learning_rate:1e-3,seed:1}",
    "task.max_new_tokens=20 task.max_label_tokens=30 collect.temperature=0.9",
    "oracle.temperature=0.5 model.sft.steps=9 model.sft.seed=4 device=cpu",
    "experiment=smoke",
    "experiment=bpo_f4 T=16 checkpoint_every=3 reference.from_sampling=true",
    "F=T reference=sft",
    "reference=ema reference.rate=0.125",
    "allocation=uniform allocation.depth=2",
    "oracle=proxy oracle.pairs=200 oracle.annotator.flip=0.1",
    "oracle=reward_model oracle.path=\"'it\\\\'s/here'\" judge.flip=0.1",
    "task=helpfulness data=files data.path=\"'a folder/[x]'\" data.prompt_column=\"'1'\" data.split=[0.8,0.1,0.1]",
    "data=hub source=paper_tldr data.train=50",
    "data=hub data.train=50 oracle=llm oracle.model=m",
]
NIGHTLY = [pytest.param(line, marks=(pytest.mark.slow, pytest.mark.nightly)) for line in MORE_LINES]


@pytest.mark.parametrize("line", [*LINES, *NIGHTLY])
def test_the_command_of_a_missing_seed_gives_its_configuration(line: str) -> None:
    words = shlex.split(line)
    plain = composed(*words)
    grid, _, _ = make_grid([run_of(plain)])
    [cell] = grid
    [told] = commands([Cell(*cell[:3], 7)], grid)
    *again, multirun, seed = shlex.split(told.partition("python -m src.train ")[2])
    assert (multirun, seed) == ("-m", "seed=7")
    made, wanted = composed(*again, seed), composed(*words, seed)
    assert flat({**made, "choices": {}}) == flat({**wanted, "choices": {}})
    assert config_hash(made) == config_hash(wanted)
    assert config_hash(composed(*shlex.split(command_of(run_of(plain)))[3:])) == config_hash(plain)


@pytest.mark.parametrize("line", ["oracle=proxy"])
def test_with_an_sft_policy_of_its_own_every_seed_s_command_follows_the_seed(line: str) -> None:
    words = [*line.split(), "model.sft.seed=${seed}"]
    grid, _, _ = make_grid([run_of(composed(*words, f"seed={seed}")) for seed in (3, 4)])
    [told] = commands([Cell(*next(iter(grid))[:3], 9)], grid)
    *again, _, seed = shlex.split(told.partition("python -m src.train ")[2])
    assert config_hash(composed(*again, seed)) == config_hash(composed(*words, "seed=9"))


@pytest.mark.slow
@pytest.mark.nightly
def test_a_method_that_lacks_a_task_is_typed_with_the_settings_of_the_task() -> None:
    lines = {
        ("tldr", 1): "F=1 data.train=50 loss.beta=0.3", ("tldr", 2): "F=2 data.train=50 loss.beta=0.3",
        ("helpfulness", 1): "F=1 data.train=70 task.max_new_tokens=9 loss.beta=0.3",
    }  # fmt: skip
    runs = [run_of(composed(f"task={task}", *line.split())) for (task, _), line in lines.items()]
    grid, _, _ = make_grid(runs)
    method = next(cell.method for cell in grid if cell.method.F == 2)
    [told] = commands([Cell("helpfulness", "dpo", method, 0)], grid)
    again = composed(*shlex.split(told.partition("python -m src.train ")[2])[:-2])
    wanted = composed("task=helpfulness", "F=2", *lines["helpfulness", 1].split()[1:])
    assert config_hash(again) == config_hash(wanted)


@pytest.mark.slow
@pytest.mark.nightly
def test_the_given_policy_of_another_task_is_left_to_type() -> None:
    runs = [run_of(composed("task=helpfulness", "F=1")), run_of(composed("F=T", "reference=gold", "reference.path=p"))]
    grid, _, _ = make_grid([*runs, run_of(composed("F=1"))])
    method = next(cell.method for cell in grid if cell.method.reference == "gold")
    [told] = commands([Cell("helpfulness", "dpo", method, 0)], grid)
    assert "reference.path=A_POLICY_FOR_HELPFULNESS" in told


def test_only_what_differs_is_typed() -> None:
    assert overrides_from(flat(composed()), tied=False) == []
    assert overrides_from(flat(composed("loss.beta=0.3")), tied=False) == ["loss.beta=0.3"]
    assert overrides_from(flat(composed("loss.beta=0.3", "F=4")), tied=False, without=("F",)) == ["loss.beta=0.3"]
    assert overrides_from({}, tied=True) == ["'model.sft.seed=${seed}'"]
    assert changes_from_defaults({"loss.beta": 0.3}) == []


def test_a_change_says_what_it_changes() -> None:
    changes = changes_from_defaults(flat(composed("loss=ipo", "T=16", "learning_rate=1e-4")))
    assert [tuple(change) for change in changes] == [
        ("loss", "ipo", "dpo"), ("T", 16, 64), ("learning_rate", 1e-4, 3e-4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["1", "1e3", "null", "True", "a b", "", "it's", "a,b", "C:\\dir", "end\\", "a\\'b", "é", "[x]", "{x}", "a=b", ".5",
     "~/x", "hub/name-1.0", "a:b", "(", "#", "$x", None, True, 1, 0.1, 1e-8, [1, "a b"], ["x", None], {"a": 1}],
)  # fmt: skip
def test_hydra_reads_back_what_was_typed(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_override(f"key={typed(value)}")
    assert parsed.value() == value and type(parsed.value()) is type(value)


def test_the_yaml_files_are_those_of_the_program() -> None:
    from analysis.typed_overrides import CONF
    from src.cli import conf

    assert Path(CONF) == conf.CONF
