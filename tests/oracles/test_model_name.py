"""The names of oracles' models, and when two of them are one oracle."""

from pathlib import Path

import pytest

from src.oracles.model_name import is_same_oracle, model_name


def encoder(folder: Path, end: bytes = b"A") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(2**20) + end)
    return folder


def test_folders_of_one_name_are_told_apart_and_copies_are_not(tmp_path: Path) -> None:
    first, second, copy = encoder(tmp_path / "a/rm"), encoder(tmp_path / "b/rm", b"B"), encoder(tmp_path / "rm-copy")
    names = [f"reward_model:{model_name(str(folder))}" for folder in (first, second, copy)]
    assert names[0].startswith("reward_model:rm-") and len(set(names)) == 3
    assert is_same_oracle(names[0], names[2]) and not is_same_oracle(names[0], names[1])


def test_what_the_hub_has_is_known_by_its_whole_name() -> None:
    assert model_name("owner/name") == "owner/name"
    assert not is_same_oracle("embedding:owner/name", "embedding:other/name")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("gold", "gold", True),
        ("gold", None, False),
        ("embedding:a-01234567", "embedding:b-01234567", True),
        ("embedding:a-01234567", "reward_model:a-01234567", False),
        ("embedding:a-01234567-0.01/word", "embedding:b-01234567-0.01/word", True),
        ("embedding:a-01234567-0.01/word", "embedding:a-01234567-0.02/word", False),
        ("embedding:a-01234567-0.01/word", "embedding:a-01234567", False),
        ("embedding:owner/a-01234567", "embedding:other/a-01234567", False),
        ("llm:a-01234567,prompt=01234567", "llm:b-01234567,prompt=01234567", False),
    ],
)
def test_two_names_of_one_oracle(first: str, second: str | None, same: bool) -> None:
    assert is_same_oracle(first, second) is same
