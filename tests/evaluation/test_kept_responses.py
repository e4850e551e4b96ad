from pathlib import Path
from typing import Any

import pytest

from src.evaluation.kept_responses import KeptResponses
from src.records import Ids
from src.storage.rows import read_rows
from tests.experiments import built

RESPONSES: list[list[Ids]] = [[(1, 2), (3,)], [(), (4, 4, 4)]]


class Sampling:
    """Counts how often it samples."""

    calls = 0

    def __call__(self) -> list[list[Ids]]:
        self.calls += 1
        return RESPONSES


def test_responses_are_sampled_once_a_key(tmp_path: Path) -> None:
    sample, folder = Sampling(), tmp_path / "new" / "cache"
    for _ in range(2):
        assert KeptResponses(folder, {"policy": "a"}).get({"split": "test"}, sample) == RESPONSES
    assert sample.calls == 1
    others: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"policy": "b"}, {"split": "test"}), ({"policy": "a"}, {"split": "validation"}),
    ]  # fmt: skip
    for common, key in others:
        assert KeptResponses(folder, common).get(key, sample) == RESPONSES
    assert sample.calls == 3


@pytest.mark.parametrize("content", ["", "{}", '{"responses": [[[9]]], "sha256": "0"}\n', "\x00"])
def test_a_damaged_file_is_made_again(tmp_path: Path, content: str) -> None:
    sample, kept = Sampling(), KeptResponses(tmp_path, {})
    kept.get({}, sample)
    [file] = tmp_path.glob("responses-*.json")
    whole = file.read_text()
    file.write_text(content)
    assert kept.get({}, sample) == RESPONSES and sample.calls == 2 and file.read_text() == whole


def test_two_runs_from_one_policy_evaluate_it_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "cache"
    first, second, other = (
        built(tmp_path / name, store, "evaluate.every=0", *changes)
        for name, changes in (("a", ["F=1"]), ("b", ["F=2"]), ("c", ["seed=1"]))
    )
    first.run()
    sampled: list[object] = []
    respond = type(first.evaluator).respond

    def spy(self: Any, weights: Any, *arguments: Any) -> Any:
        sampled.append(weights is run.sft)
        return respond(self, weights, *arguments)

    monkeypatch.setattr(type(first.evaluator), "respond", spy)
    for run, expected in ((second, [False]), (other, [True, False])):
        sampled.clear()
        run.run()
        assert sampled == expected
    sft = [read_rows(tmp_path / name / "results.jsonl")[0] for name in "abc"]
    assert sft[0]["win_rate"] == sft[1]["win_rate"] and sft[0]["sft_fingerprint"] == sft[2]["sft_fingerprint"]
    rows = [
        [row["response"] for row in read_rows(tmp_path / name / "samples.jsonl") if row["round"] == -1]
        for name in "abc"
    ]
    assert rows[0] == rows[1] != rows[2]
