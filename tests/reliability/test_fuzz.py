"""Bad input, a few hundred cases of it: `python -m reliability.fuzz` tries ten thousand. And of its own machinery."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import printable as analysis_printable
from reliability.fuzz import fuzz, tried
from src.cli.compose import problems_of
from src.cli.overrides import flags_first
from src.cli.read_config import read_config
from src.data.files import FilesData
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable, steers
from tests.experiments import configured
from tests.properties import quick

CASES = {"command": 25, "settings": 300, "data": 200, "files": 120, "analysis": 100, "runs": 40}
CASES |= {"models": 24, "adapters": 40}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def example(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0")


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.nightly)])
def test_whatever_is_given_is_taken_or_refused(kind: str, share: int, example: Path) -> None:
    failures = []
    fuzz(CASES[kind] // share, 2, kind, example, failures.append)
    assert not failures


def raises(error: Exception) -> Callable[[random.Random, Path], None]:
    def make(random: random.Random, folder: Path) -> None:
        raise error

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (raises(KeyError("x")), "KeyError"),
        (raises(SystemExit("\x1b[2J")), "a message holds"),
        (lambda random, folder: (folder.parent / "elsewhere").write_text("x"), "wrote"),
        (lambda random, folder: print("\u202e"), "a message holds"),  # noqa: T201
    ],
)
def test_what_is_wrong_is_found(make, said: str, tmp_path: Path) -> None:
    failure = tried("kind", make, 0, 3, tmp_path)
    assert failure is not None and said in failure.what and failure.number == 3


def test_what_is_right_is_no_failure(tmp_path: Path) -> None:
    for make in (raises(ConfigError(["x"])), raises(RunError("x")), lambda random, folder: (folder / "x").touch()):
        assert tried("kind", make, 0, 0, tmp_path) is None
    assert not list(tmp_path.iterdir())


@quick
@given(st.text())
def test_printable_text_steers_nothing(text: str) -> None:
    for made in (printable(text), analysis_printable(text)):
        assert not any(map(steers, made))
    if not any(map(steers, text)):
        assert printable(text) == text


WORDS = st.lists(st.text(st.characters(exclude_characters="\x00"), max_size=12), max_size=3)


@pytest.mark.slow
@settings(quick, max_examples=15)
@given(WORDS)
def test_any_words_are_a_command_or_none(words: list[str]) -> None:
    check_words(words)


@pytest.mark.nightly
@quick
@given(WORDS)
def test_many_words_are_a_command_or_none(words: list[str]) -> None:
    check_words(words)


def check_words(words: list[str]) -> None:
    given = [word for word in flags_first(words) if word.split("=")[0] not in ("-h", "--help", "-i", "-c")]
    assert isinstance(problems_of(given), list)


@quick
@given(key=st.integers(0, 10**6), value=ANY)
def test_any_value_anywhere_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, key: int, value: object) -> None:
    _, plain, _ = CONFIGURED or CONFIGURED.extend(configured(tmp_path_factory.mktemp("none"))) or CONFIGURED
    plain = json.loads(json.dumps(plain))
    node, name = plain, sorted(plain)[key % len(plain)]
    while isinstance(node[name], dict) and node[name] and key % 3:
        node, key = node[name], key // 3
        name = sorted(node)[key % len(node)]
    node[name] = value
    config, problems = read_config(plain)
    assert (config is None) == bool(problems)


CONFIGURED: list = []


@quick
@given(st.lists(st.binary(max_size=40) | ANY.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_any_bytes_are_rows_or_named_by_line(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    for name in ("train", "validation"):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines))
    problems = FilesData(str(folder), None, "prompt", "label", None, None, "drop").problems("tldr")
    assert problems and all(str(folder) in line for line in problems)
