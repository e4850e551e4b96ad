"""The mutants that `python -m reliability.mutants` tries."""

import ast
from itertools import islice
from pathlib import Path

import pytest

from reliability.mutants import TESTS, mutants, passes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a + b", ["a - b"]),
        ("x = a < b <= c", ["a <= b <= c", "a < b < c"]),
        ("x = a and b", ["a or b"]),
        ("x = [i for i in y if i]", ["[i for i in y if not i]"]),
        ("x = -a", ["+a"]),
        ("x = not a", ["not not a"]),
        ("x = 1", ["2"]),
        ("x = 0.5", ["0.85"]),
        ("x = True", ["False"]),
        ("x = a if b else c", ["a if not b else c"]),
        ("x += 1", ["x -= 1", "2"]),
        ("x: int = f('text', strict=True)", []),
        ("@f(frozen=True)\nclass C: pass", []),
    ],
)
def test_a_mutant_has_one_change(source: str, expected: list[str]) -> None:
    found = list(mutants(source))
    assert [one.after for one in found] == expected
    assert len({one.source for one in found} | {ast.unparse(ast.parse(source))}) == len(found) + 1


def test_the_modules_and_their_tests_are_there() -> None:
    for module, tests in TESTS.items():
        assert len(list(islice(mutants((ROOT / module).read_text()), 5))) == 5
        assert all((ROOT / test).exists() for test in tests)


@pytest.mark.slow
def test_a_mutant_is_killed_and_the_module_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    source = (ROOT / "src/losses/ipo.py").read_text()
    assert passes("src/losses/ipo.py", source, TESTS["src/losses/ipo.py"])
    # Modules are loaded here already, so a fork of this process would not see another source.
    assert "1 / (2 * self.beta)" in source
