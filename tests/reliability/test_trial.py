"""The machinery of `python -m reliability.kills`, `.damage` and `.crowd`; those run whole experiments."""

import random
from pathlib import Path

import pytest

from reliability.damage import DAMAGES, spoil
from reliability.left import difference, left_by
from reliability.trial import read_numbers
from reliability.watch import STAGES, Watch


def test_numbers_are_read_over_their_defaults() -> None:
    assert read_numbers(["seed=7"], cases=10, seed=0) == {"cases": 10, "seed": 7}
    for wrong in ("seed=x", "seeds=1", "seed", "seed=-1"):
        with pytest.raises(SystemExit, match=r"expected cases=N \(10\), seed=N \(0\)"):
            read_numbers([wrong], cases=10, seed=0)


def test_a_stage_is_noted_while_its_function_runs() -> None:
    class Owner:
        def work(self) -> tuple[int, int]:
            return watch.now()

    watch = Watch()
    watch.set(0, 0)
    watch.mark(Owner, "work", "learning")
    assert Owner().work() == (STAGES.index("learning"), 1)
    assert watch.now() == (0, 1)


def test_what_depends_on_the_clock_is_no_difference(tmp_path: Path) -> None:
    for name, seconds, loss in (("a", 1.0, 0.5), ("b", 2.0, 0.5), ("c", 1.0, 0.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.jsonl").write_text(f'{{"seconds": {seconds}, "loss": {loss}}}\n')
        (tmp_path / name / "SHA256SUMS").write_text(name)
    a, b, c = (left_by(tmp_path / name) for name in "abc")
    assert difference(a, b) == "" and difference(a, c) == "results.jsonl"
    assert difference(a, {}) == "results.jsonl"


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_another_one(kind: str, tmp_path: Path) -> None:
    file, other = tmp_path / "round_001.jsonl", tmp_path / "other"
    file.write_bytes(b"first line\nsecond line\n")
    other.write_bytes(b"other")
    before = file.read_bytes()
    copy = spoil(file, [other], kind, random.Random(0))
    if kind == "copied":
        assert copy is not None and copy != file and copy.read_bytes() == before
    else:
        assert copy is None and not (file.exists() and file.read_bytes() == before)
