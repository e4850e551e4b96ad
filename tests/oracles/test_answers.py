"""The cache of answers and the ledger of their cost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from src.oracles.answers import Answer, AnswerCache, Ledger
from src.runtime.errors import RunError

ROOT = Path(__file__).parents[2]


def test_a_question_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    with cache.claim("ab1") as first, cache.claim("ab2") as another:
        assert first and another
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path; from src.oracles.answers import AnswerCache\n"
             "with AnswerCache(Path(sys.argv[1])).claim('ab1') as mine: sys.exit(mine)", str(tmp_path)],
            cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0
    with cache.claim("ab1") as again:
        assert again
    assert not list(tmp_path.rglob("*.lock"))


def test_the_ledger_of_a_run_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "answers" / "judge.jsonl"
    ledger = Ledger(path)
    assert not path.exists() and set(ledger.totals().values()) == {0}
    ledger.paid("a", Answer("one\nü", 10, 2))
    ledger.found("b", Answer("two", 100, 20))
    with path.open("a") as file:
        file.write('{"key": "c", "cach')  # killed while writing
    ledger = Ledger(path)
    ledger.found("a", Answer("one\nü", 10, 2))  # it paid for this one itself
    ledger.found("b", Answer("two", 100, 20))
    ledger.paid("c", Answer("three", 30, 3))
    expected = {"calls": 2, "cached": 1, "tokens": 45, "completion_tokens": 5}
    assert ledger.totals() == Ledger(path).totals() == expected


@pytest.mark.parametrize("spoilt", [b'"prompt_tokens": 11', b'"cached": true', b'"key": "b"'])
def test_a_damaged_line_of_the_ledger_is_named(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "judge.jsonl"
    Ledger(path).paid("a", Answer("one", 10, 2))
    Ledger(path).paid("c", Answer("two", 10, 2))
    written = {b"prompt": b'"prompt_tokens": 10', b"cached": b'"cached": false', b"key": b'"key": "c"'}
    first, second = path.read_bytes().splitlines(keepends=True)
    old = written[spoilt[1:].split(b'"')[0].split(b"_")[0]]
    path.write_bytes(first + second.replace(old, spoilt))
    with pytest.raises(RunError, match="judge.jsonl, line 2: not what the run wrote"):
        Ledger(path)


def test_a_damaged_answer_is_not_taken_and_one_of_an_earlier_version_is(tmp_path: Path) -> None:
    cache, answer = AnswerCache(tmp_path), Answer("Verdict: A", 10, 2)
    for key in ("aa", "ab"):
        cache.keep(key, {"model": "m"}, answer)
    files = {key: tmp_path / key / f"{key}.json" for key in ("aa", "ab")}
    assert cache.find("aa") == answer
    whole = files["aa"].read_text()
    files["aa"].write_text(whole.replace("Verdict: A", "Verdict: B"))
    assert cache.find("aa") is None
    files["aa"].write_text(files["ab"].read_text())  # another question's
    assert cache.find("aa") is None
    row = json.loads(whole)
    del row["sha256"]
    files["aa"].write_text(json.dumps(row))
    assert cache.find("aa") == answer
