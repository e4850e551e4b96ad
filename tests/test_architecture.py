"""The examples in ARCHITECTURE.md, followed to the letter in a copy of the project, at smoke size."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.storage.rows import read_rows
from tests.documents import EXAMPLE, MADE, ROOT, blocks, lines
from tests.experiments import SMOKE, SMOKE_ON_FILES

BLOCKS = [block for marks, block in blocks(ROOT / "ARCHITECTURE.md", "bash") if marks == EXAMPLE]
EXAMPLES = [words for block in BLOCKS for words in lines(block)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every file of the examples, and nothing else changed."""
    folder = tmp_path_factory.mktemp("house")
    for part in ("src", "conf"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in MADE.items():
        assert not (folder / name).exists()
        (folder / name).write_text(content)
    return folder


def called(house: Path, *words: str) -> None:
    python, *rest = words
    assert python == "python"
    done = subprocess.run([sys.executable, *rest], cwd=house, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def command(part: str) -> tuple[str, ...]:
    [found] = [words for words in EXAMPLES if part in words]
    return found


def test_the_examples_were_found() -> None:
    assert set(MADE) == {
        "src/losses/truncated.py", "conf/loss/truncated.yaml", "src/oracles/overlap.py", "conf/oracle/overlap.yaml",
        "conf/judge/overlap.yaml", "conf/task/headlines.yaml", "headlines.py",
    }  # fmt: skip
    assert len(EXAMPLES) == 4


def test_a_loss(house: Path) -> None:
    called(house, *command("loss=truncated"), *SMOKE, "hydra.run.dir=loss")
    row = read_rows(house / "loss" / "metrics.jsonl")[0]
    assert row["loss"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.nightly
def test_an_oracle(house: Path) -> None:
    [words] = [words for words in EXAMPLES if words[3:] == ("oracle=overlap", "judge=overlap")]
    called(house, *words, *SMOKE, "hydra.run.dir=oracle")
    result = read_rows(house / "oracle" / "results.jsonl")[-1]
    assert (result["oracle"], result["judge"], result["judge_is_oracle"]) == ("overlap", "overlap", True)
    for pair in read_rows(house / "oracle" / "pairs" / "round_000.jsonl"):
        known = set(pair["prompt"].lower().split())
        shares = []
        for response in pair["responses"]:
            words = response["text"].lower().split()
            shares.append(sum(word in known for word in words) / max(len(words), 1))
            assert response["score"] == pytest.approx(shares[-1])
        assert pair["chosen"] == (None if shares[0] == shares[1] else int(shares[1] > shares[0]))


@pytest.mark.nightly
def test_a_task(house: Path) -> None:
    called(house, *command("headlines.py"))
    called(house, *command("task=headlines"), *SMOKE_ON_FILES, "hydra.run.dir=task")
    result = read_rows(house / "task" / "results.jsonl")[-1]
    assert (result["task"], result["data"], result["split"], result["n_prompts"]) == ("headlines", "files", "test", 24)
    sample = read_rows(house / "task" / "samples.jsonl")[-1]
    assert sample["prompt"].endswith("Headline:") and sample["label"]
