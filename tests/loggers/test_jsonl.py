from pathlib import Path

from src.loggers.jsonl import Jsonl


def test_it_mirrors_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with Jsonl().tracking(tmp_path, {"T": 1}, {}, said.append) as tracker:
        tracker.metrics({"step": 0, "loss": 1.0})
        tracker.result({"round": 0, "step": 1})
        tracker.samples([{"round": 0, "step": 1}])
    assert said == [] and list(tmp_path.iterdir()) == []
