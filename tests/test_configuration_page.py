"""docs/configuration.md names every choice and every key, and no key that is not there."""

import re
from typing import Any

import pytest
import yaml

from src.cli.compose import compose_jobs
from src.cli.conf import CONF
from tests.conf_files import FILES
from tests.documents import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text()
SPANS = set(re.findall(r"`([^`\n]+)`", PAGE))
# A key is named by `key` and by `key=value`.
NAMED = SPANS | {span.partition("=")[0] for span in SPANS}
# A group whose keys are documented under the name of another.
LIKE = {"judge": "oracle"}
# One key to a reader, whatever is below it.
WHOLE = ("model.pretrain", "oracle.prompts")


def keys(node: Any, path: str) -> set[str]:
    """The dotted keys of a node of yaml."""
    if path in WHOLE or not isinstance(node, dict):
        return {path}
    inner = {name: value for name, value in node.items() if name not in ("_target_", "defaults")}
    return {key for name, value in inner.items() for key in keys(value, f"{path}.{name}".strip("."))}


def of_file(group: str, name: str) -> set[str]:
    """The keys that a file of a group sets; those of `data` and `source` set keys of several groups."""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text()) or {}
    return keys(node, "" if group in ("data", "source") else LIKE.get(group, group))


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_choice_is_named(group: str, name: str) -> None:
    assert {name, f"{group}={name}"} & NAMED


@pytest.mark.parametrize("group", sorted({group for group, _ in FILES} - {"experiment"}))
def test_every_key_of_a_group_is_named(group: str) -> None:
    found = {key for other, name in FILES if other == group for key in of_file(group, name)}
    # A value that is null in one yaml and a group of keys in another.
    parents = {key for key in found if any(other.startswith(f"{key}.") for other in found)}
    assert found - parents <= NAMED


def test_every_key_of_train_is_named() -> None:
    node = yaml.safe_load((CONF / "train.yaml").read_text())
    assert keys({name: value for name, value in node.items() if name not in ("hydra", "defaults")}, "") <= NAMED


def test_no_key_is_named_that_is_not_there() -> None:
    there = {key for group, name in FILES for key in of_file(group, name)}
    groups = {key.partition(".")[0] for key in there} | {"evaluate", "optimizer"}
    there |= keys(yaml.safe_load((CONF / "train.yaml").read_text()), "")
    named = {key for key in NAMED if re.fullmatch(r"[a-z]+\.[\w.]+", key) and key.partition(".")[0] in groups}
    assert named <= there | {key.partition(".")[0] for key in there}


def test_the_defaults_are_those_of_the_configuration() -> None:
    [job], problems = compose_jobs(["data=files"])
    [table] = re.findall(r"^## Run\n.*?((?:^\|[^\n]*\n)+)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table.splitlines()[2:]]
    said = {row[0].strip("` "): row[1] for row in rows if "," not in row[0] and row[1][:1] != "t"}
    assert problems == [] and len(said) > 10
    for key, default in said.items():
        value: Any = job.plain
        for part in key.split("."):
            value = value[part]
        assert yaml.safe_load(default.partition(" (")[0]) == value, key
