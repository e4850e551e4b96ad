"""A run's folder: one for each configuration, however the command is typed."""

import itertools
import random
from pathlib import Path

import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig

from src.cli.compose import compose_jobs
from src.cli.conf import CONF, composing, plain_config
from src.storage.run_name import config_hash

pytestmark = pytest.mark.slow

DEFAULT = "outputs/tldr-dpo-F2-behavior-uniform-tiny-seed0"


def folders(*arguments: str) -> list[str]:
    jobs, problems = compose_jobs(arguments)
    assert not problems and all(job.plain for job in jobs), [job.problems for job in jobs]
    return [str(job.folder if "-m" in arguments else job.alone) for job in jobs]


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ("", DEFAULT),
        ("F=2 loss=dpo seed=0 batch_size=32 learning_rate=3e-4 data=embedded oracle=gold", DEFAULT),
        ("learning_rate=${model.learning_rate} oracle.temperature=0.250", DEFAULT),
        ("force=true logger=wandb logger.mode=online cache=elsewhere", DEFAULT),
        ("loss=ipo F=T seed=3", "outputs/tldr-ipo-FT-behavior-uniform-tiny-seed3"),
        ("T=32", f"{DEFAULT}+T@32"),
        ("learning_rate=1e-3 T=32", f"{DEFAULT}+T@32+learning_rate@0.001"),
        ("model.learning_rate=1e-3", f"{DEFAULT}+model.learning_rate@0.001"),
        ("model.learning_rate=1e-3 learning_rate=0.001", f"{DEFAULT}+model.learning_rate@0.001"),
        ("experiment=smoke", f"{DEFAULT}+experiment@smoke"),
        ("experiment=smoke T=4 F=4", "outputs/tldr-dpo-F4-behavior-uniform-tiny-seed0+experiment@smoke"),
        ("data=hub", f"{DEFAULT}+data@hub"),
        ("data=hub oracle=embedding judge=embedding source=hub_tldr", f"{DEFAULT}+data@hub"),
        ("data=hub oracle=gold", f"{DEFAULT}+data@hub+oracle@gold"),
        ("data=hub source=paper_tldr", f"{DEFAULT}+data@hub+source@paper_tldr"),
        ("experiment=paper_tldr source=paper_tldr T=625",
         "outputs/tldr-dpo-F2-behavior-uniform-gemma_2b-seed0+experiment@paper_tldr"),
        ("hydra.run.dir=elsewhere T=32", "elsewhere"),
        ("hydra.sweep.dir=elsewhere T=32", f"elsewhere/{Path(DEFAULT).name}+T@32"),
    ],
)  # fmt: skip
def test_the_folder_of_a_command(arguments: str, folder: str) -> None:
    assert folders(*arguments.split()) == [folder]


def test_a_job_of_a_multirun_has_the_folder_of_the_command_alone() -> None:
    together = folders("-m", "T=32", "loss=dpo,ipo", "seed=0,1")
    alone = [folders(f"seed={seed}", f"loss={loss}", "T=32")[0] for loss in ("dpo", "ipo") for seed in (0, 1)]
    assert together == alone and len(set(together)) == 4


def test_the_better_policy_is_the_run_of_the_same_command() -> None:
    jobs, _ = compose_jobs(["-m", "experiment=gold_ft,bpo_ft", "T=32", "seed=0,2", "loss=ipo"])
    paths = {job.plain["reference"].get("path") for job in jobs[:2]}
    assert paths == {str(jobs[2].folder)}


def test_a_name_can_be_typed_back_without_quotes() -> None:
    [folder] = folders("data=hub", "T=32", "data.path='/some where/x,y=z'", "optimizer.betas=[0.8,0.9]")
    [job], problems = compose_jobs(["reference=gold", f"reference.path={folder}"])
    assert not problems and job.plain["reference"]["path"] == folder


VALUES = {
    "loss": ("dpo", "ipo"), "reference": ("behavior", "sft"), "F": ("2", "T", "4"), "seed": ("0", "1"),
    "T": ("64", "32"), "learning_rate": ("3e-4", "0.0003", "1e-3"), "data": ("embedded", "hub"),
    "oracle": ("gold", "embedding"), "judge": ("gold", "llm"), "allocation": ("uniform", "balanced"),
    "model": ("tiny", "tiny_lora"), "collect.top_k": ("0", "50"), "optimizer.betas": ("[0.9,0.999]", "[0.9,0.99]"),
    "evaluate.temperature": ("1", "1.0", "0"), "loss.beta": ("0.1", "1.0e-1", "0.2"), "force": ("true", "false"),
    "logger": ("jsonl", "wandb"), "cache": (".cache", "other"), "experiment": ("bpo_ft", "smoke"),
    "model.sft.steps": ("800", "10"), "source": ("hub_tldr", "paper_tldr"),
}  # fmt: skip


def settings_of(overrides: list[str]) -> tuple[str, tuple[str, str | None]]:
    """The name of a run, and what its result depends on: the hash, and the experiment, which is a part of the name."""
    config = compose("train", overrides=overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    plain = plain_config(config)
    return config.hydra.sweep.subdir, (config_hash(plain), plain["choices"].get("experiment"))


@pytest.mark.slow
@pytest.mark.parametrize("count", [12, pytest.param(60, marks=pytest.mark.nightly)])
def test_two_commands_share_a_folder_if_and_only_if_their_configurations_are_equal(count: int) -> None:
    draw = random.Random(0)
    seen: dict[str, tuple[str, str | None]] = {}
    with composing():
        for _ in range(count):
            keys = draw.sample(sorted(VALUES), draw.randint(0, 5))
            if "source" in keys:
                keys = [*(key for key in keys if key != "data"), "data"]
            chosen = {key: "hub" if key == "data" and "source" in keys else draw.choice(VALUES[key]) for key in keys}
            overrides = [f"{key}={value}" for key, value in chosen.items()]
            name, settings = settings_of(overrides)
            assert seen.setdefault(name, settings) == settings, overrides
            draw.shuffle(overrides)
            assert settings_of(overrides) == (name, settings)
            # A value that is there already, typed too.
            assert settings_of([*overrides, *(line for line in ("batch_size=32", "device=auto"))]) == (
                (name, settings) if chosen.get("experiment") != "smoke" else settings_of([*overrides, "batch_size=32"])
            )
    names = list(itertools.combinations(seen, 2))
    assert len(seen) > count / 2 and all(seen[one] != seen[other] for one, other in names)


def test_options_with_equal_keys_hash_differently() -> None:
    hashes = {
        config_hash(compose_jobs([f"reference={name}"])[0][0].plain) for name in ("behavior", "sft")
    } | {config_hash(compose_jobs([f"loss={name}"])[0][0].plain) for name in ("dpo", "slic")}  # fmt: skip
    assert len(hashes) == 3  # dpo with behavior is the default, and counts once


def test_an_option_of_a_folder_of_ones_own_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "mine.yaml").write_text((CONF / "reference" / "sft.yaml").read_text())
    [job], problems = compose_jobs([f"--config-dir={tmp_path}", "reference=mine", "T=32"])
    assert not problems and not job.problems
    assert str(job.folder) == "outputs/tldr-dpo-F2-mine-uniform-tiny-seed0+T@32"
    assert config_hash(job.plain) != config_hash(compose_jobs(["reference=sft", "T=32"])[0][0].plain)
