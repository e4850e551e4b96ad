"""Every yaml composes, builds, and says all its class wants; new files are found without being listed."""

import importlib
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from src.cli.compose import problems_of
from src.cli.conf import CONF, plain_config
from src.cli.read_config import read_config
from src.storage.run_name import LATER
from tests.conf_files import FILES

pytestmark = pytest.mark.slow

# What a choice cannot do without.
NEEDS = {
    ("reference", "gold"): ["reference.path={policy}"],
    ("experiment", "gold_ft"): ["reference.path={policy}"],
    ("collect", "dataset"): ["F=1", "data=hub", "task=helpfulness"],
    ("sampler", "vllm"): ["model=tiny_lora", "sampler.urls=[http://localhost:8000/v1]"],
    ("data", "files"): ["data.path={data}"],
    ("oracle", "embedding"): ["data=files", "data.path={data}"],
    ("judge", "embedding"): ["data=files", "data.path={data}"],
    ("task", "harmlessness"): ["data=files", "data.path={data}"],
}


def test_the_search_found_the_known_files() -> None:
    assert {("loss", "dpo"), ("loss", "ipo"), ("loss", "slic"), ("data", "embedded"), ("model", "tiny")} <= set(FILES)
    assert len(FILES) >= 20


@pytest.mark.parametrize(
    ("group", "name"),
    # tests/sweeps/test_files.py has the experiments of the figures with every commit, tests/test_docs.py the paper's.
    [pytest.param(*file, marks=pytest.mark.nightly if file[0] == "experiment" else ()) for file in FILES],
)
def test_every_yaml_composes_and_is_fit_to_run(
    group: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"prompt": "{split}", "label": "b"}}\n')
    (tmp_path / "adapter_config.json").write_text("{}")
    needs = ["data=hub"] if group == "source" else NEEDS.get((group, name), [])
    extra = [line.format(policy=tmp_path, data=tmp_path) for line in needs]
    assert problems_of([f"{group}={name}", *extra]) == []


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_yaml_says_first_what_it_is(group: str, name: str) -> None:
    lines = (CONF / group / f"{name}.yaml").read_text().splitlines()
    assert next(line for line in lines if "@package" not in line).startswith("# ")


@pytest.mark.parametrize(
    ("group", "name"), [pair for pair in FILES if pair[0] not in ("experiment", "data", "source", "task")]
)
def test_a_key_too_few_is_named(group: str, name: str) -> None:
    """Values live in the yaml alone, but for keys that a yaml of one's own may be too old to have."""
    keys = [
        key
        for key in yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
        if key not in ("defaults", "_target_")
    ]
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        plain = plain_config(compose("train", overrides=[f"{group}={name}"], return_hydra_config=True))
    for key in keys:
        value = plain[group].pop(key)
        problems = read_config(plain)[1]
        assert problems == [] if key in LATER.get(group, {}) else f"{group}.{key}: missing" in problems
        plain[group][key] = value


def test_a_target_outside_the_project_is_refused() -> None:
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        plain = plain_config(compose("train", return_hydra_config=True))
    plain["loss"]["_target_"] = "os.system"
    assert any("loss._target_=os.system" in line and "expected" in line for line in read_config(plain)[1])


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "data"])
def test_every_source_gives_its_rows_as_they_lie(name: str) -> None:
    """What files of responses are in the order of."""
    module, _, attribute = yaml.safe_load((CONF / "data" / f"{name}.yaml").read_text())["data"]["_target_"].rpartition(
        "."
    )
    assert callable(getattr(importlib.import_module(module), attribute).rows)
