import json
from pathlib import Path

import pytest

from src.models.base_name import portable_base, spoken_base
from tests.models.policies import lora_policy

SNAPSHOT = "/home/me/hub/models--google--gemma-2b/snapshots/0123abc"


@pytest.mark.parametrize(
    ("base", "expected", "spoken"),
    [
        ("google/gemma-2b", ("google/gemma-2b", None), "google/gemma-2b"),
        ("gpt2", ("gpt2", None), "gpt2"),
        (SNAPSHOT, ("google/gemma-2b", "0123abc"), "google/gemma-2b"),
        ("/home/me/models--gpt2/snapshots/1f", ("gpt2", "1f"), "gpt2"),
        ("/home/me/models/gemma", None, "gemma"),
        ("~/gemma", None, "gemma"),
        ("./snapshots/1f", None, "1f"),
    ],
)
def test_what_a_base_is_called_elsewhere(base: str, expected: tuple | None, spoken: str) -> None:
    assert (portable_base(base), spoken_base(base)) == (expected, spoken)


@pytest.mark.parametrize(
    ("base", "named", "revision"),
    [
        (SNAPSHOT, "google/gemma-2b", "0123abc"),
        ("google/gemma-2b", "google/gemma-2b", None),
        ("/a/folder", "/a/folder", None),
    ],
)
def test_an_adapter_names_its_base_so(base: str, named: str, revision: str | None, tmp_path: Path) -> None:
    """A folder without a name elsewhere stays: the adapter can be loaded where the run was made."""
    policy = lora_policy(1, base)
    policy.save(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (named, revision)
    policy.read_weights(tmp_path)
