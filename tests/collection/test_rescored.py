"""The log-probs of pairs under the trained policy."""

from pathlib import Path

import pytest

from src.collection import rescored
from src.storage.rows import read_rows
from tests.experiments import built


@pytest.mark.slow
def test_some_pairs_of_every_round_are_scored_under_the_trained_policy(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescored, "PAIRS", 6)
    run = built(tmp_path / "run", cache, "F=2")
    run.run()
    rows = read_rows(tmp_path / "run" / "pairs" / "after.jsonl")
    assert [(row["round"], row["pair"]) for row in rows] == [(number, i) for number in range(2) for i in range(3)]
    pair = read_rows(tmp_path / "run" / "pairs" / "round_001.jsonl")[2]
    ids = [pair["prompt_ids"]], [[response["ids"] for response in pair["responses"]]]
    with run.policy.using(run.policy.mean()) as model:
        [expected] = run.collection.scorer.all_logps(model, *ids).tolist()
    assert rows[-1]["logps"] == pytest.approx(expected, abs=1e-4)
    assert rows[-1]["logps"] != pytest.approx([one["logps"]["behavior"] for one in pair["responses"]], abs=1e-6)
