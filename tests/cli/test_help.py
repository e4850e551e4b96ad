"""The help says what every group and key is, from the comments of conf/."""

from pathlib import Path

import pytest

from src.cli.comments import read_comments
from src.cli.conf import CONF
from src.cli.help import help_text

pytestmark = pytest.mark.slow

OPTIONS = [
    (file.parent.name, file.stem)
    for file in sorted(CONF.glob("*/*.yaml"))
    if file.parent.name not in ("accelerate", "hydra")
]


def entries(text: str, section: str) -> dict[str, str]:
    """Name -> description of a section's entries."""
    lines = text.split(f"\n{section}\n", 1)[1].splitlines()[1:]
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("  ") and not line.startswith(" " * 10):
            name, _, about = line[2:].partition("  ") if len(line[2:].split(" ")[0]) < 24 else (line[2:], "", "")
            if not about and len(line) > 27 and line[26] == " ":
                name, about = line[2:26].strip(), line[27:]
            found[name.strip()] = about.strip()
        elif line.startswith(" " * 10):
            found[name.strip()] += f" {line.strip()}"
    return found


def test_the_help_has_every_option_of_every_group_in_80_columns() -> None:
    text = help_text("What it does.", [])
    assert text.startswith("What it does.\n") and max(map(len, text.splitlines())) <= 80
    there = text.split("\nKeys\n")[0]
    for group, option in OPTIONS:
        if group not in ("source",):
            assert f"\n{group}: " in there, group
        assert any(line.split()[:1] == [option] for line in there.splitlines()), (group, option)
    assert "accelerate" not in text and "hydra/launcher" not in text
    assert text.index("\nGroups\n") < text.index("\nKeys\n")


@pytest.mark.parametrize(
    ("group", "option"),
    # The keys of experiments and sources are those of other options.
    [pytest.param(*both, marks=pytest.mark.nightly if both[0] in ("experiment", "source") else ()) for both in OPTIONS],
)
def test_every_key_of_every_option_has_a_description(group: str, option: str) -> None:
    needed = ["data=hub"] if group == "source" else []
    text = help_text("", [f"{group}={option}", *needed])
    assert max(map(len, text.splitlines())) <= 80
    about = read_comments(CONF / group / f"{option}.yaml").about
    assert about and " ".join(about.split()) in " ".join(text.split())
    undescribed = [name for name, description in entries(text, "Keys").items() if not description]
    assert undescribed == []


def test_the_values_are_those_of_the_command() -> None:
    text = help_text("", ["loss=ipo", "T=8", "-m", "seed=3,4"])
    assert {"T=8", "seed=3", "loss.beta=0.1"} <= set(entries(text, "Keys")) and "label_smoothing" not in text
    assert "ipo *" in text and "dpo *" not in text


def test_an_option_of_a_folder_of_ones_own_is_listed(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text(
        "# A loss of one's own.\n_target_: src.losses.ipo.IPO\n# How strong.\nbeta: 0.5\nlength_normalize: true\n"
    )
    text = help_text("", [f"--config-dir={tmp_path}", "loss=mine"])
    assert "mine *                   A loss of one's own." in text and "loss.beta=0.5            How strong." in text


def test_the_comments_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    top = "# @package _global_\n# First.\n# Second.\ndefaults:\n  # A group.\n  - optional g: x\n\n"
    file.write_text(f"{top}# Above\n# it.\na:\n  # Inside.\n  b: 1\n  c: 2\n")
    comments = read_comments(file)
    assert comments.about == "First." and comments.keys == {"a": "Above it.", "a.b": "Inside."}
    assert comments.groups == {"g": "A group."}
