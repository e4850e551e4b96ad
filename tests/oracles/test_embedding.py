import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from src.oracles.embedding import EmbeddingOracle
from src.records import Prompt, Row
from src.runtime.errors import RunError

# Unit vectors by angle, so that a cosine is known by hand.
DEGREES = {"a post": 0, "near": 60, "nearer it": 0, "far off here": 90, "another post": 90, "": 180}


class Encoder:
    """Encodes a text as the unit vector of its angle, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.options: list[dict] = []

    def encode(self, texts: list[str], **options: object) -> np.ndarray:
        self.calls.append(list(texts))
        self.options.append(options)
        radians = np.radians([DEGREES[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def oracle(path: str = "somewhere/model-name", length_penalty: float = 0.0) -> tuple[EmbeddingOracle, Encoder]:
    made, encoder = EmbeddingOracle(path, length_penalty, batch_size=4, temperature=0.0, flip=0.0), Encoder()
    made.__dict__["_encoder"] = encoder  # where cached_property keeps the model it has loaded
    return made, encoder


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(id, Row(text, "label"), (2,), (3,)) for id, text in enumerate(texts)]


def test_the_score_is_the_cosine_to_the_prompt():
    embedding, _ = oracle()
    asked = prompts("a post", "a post", "another post", "another post", "a post")
    scores = embedding.score(None, asked, ["near", "nearer it", "near", "far off here", ""])
    assert scores == pytest.approx([0.5, 1, math.sqrt(3) / 2, 1, -1], abs=1e-6)


def test_a_word_costs_the_length_penalty():
    embedding, _ = oracle(length_penalty=0.1)
    scores = embedding.score(None, prompts(*["a post"] * 4), ["near", "nearer it", "far off here", ""])
    assert scores == pytest.approx([0.5 - 0.1, 1 - 0.2, 0 - 0.3, -1], abs=1e-6)


def test_each_text_is_encoded_once():
    embedding, encoder = oracle()
    embedding.score(None, prompts("a post", "a post", "another post"), ["near", "near", "a post"])
    assert [sorted(call) for call in encoder.calls] == [["a post", "another post", "near"]]
    assert encoder.options[0]["normalize_embeddings"] is True
    assert encoder.options[0]["batch_size"] == 4


def test_the_scores_do_not_depend_on_what_else_is_asked():
    alone, together = oracle()[0], oracle()[0]
    assert (
        alone.score(None, prompts("a post"), ["near"])[0]
        == together.score(None, prompts("another post", "a post"), ["far off here", "near"])[1]
    )


@pytest.mark.parametrize("path", ["someone/model-name", "model-name"])
def test_the_name_has_the_models_name_and_the_penalty(path):
    assert oracle(path)[0].name == f"embedding:{path}"
    assert oracle(path, 0.02)[0].name == f"embedding:{path}-0.02/word"


def test_the_name_tells_folders_of_one_name_apart(tmp_path):
    names = []
    for place, content in (("a", "{}"), ("b", "{} ")):
        folder = tmp_path / place / "model-name"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(content)
        names.append(oracle(str(folder))[0].name)
    assert names[0] != names[1] and all(name.startswith("embedding:model-name-") for name in names)


def test_a_missing_folder_is_a_problem(tmp_path):
    missing = tmp_path / "nowhere"
    (problem,) = oracle(str(missing))[0].problems()
    assert str(missing) in problem


def test_a_folder_without_a_model_is_a_problem_and_one_with_a_model_is_none(tmp_path):
    embedding = oracle(str(tmp_path))[0]
    assert len(embedding.problems()) == 1
    (tmp_path / "config.json").write_text("{}")
    assert embedding.problems() == []


def test_a_hub_name_is_not_looked_for_on_disk():
    assert oracle("sentence-transformers/all-MiniLM-L6-v2")[0].problems() == []


def test_the_model_is_loaded_once_however_often_it_is_asked(monkeypatch):
    loaded = []
    stub = SimpleNamespace(SentenceTransformer=lambda path, trust_remote_code: loaded.append(path) or Encoder())
    monkeypatch.setitem(sys.modules, "sentence_transformers", stub)
    embedding = EmbeddingOracle("a/model", 0.0, batch_size=4, temperature=0.0, flip=0.0)
    embedding.load()
    embedding.load()
    embedding.score(None, prompts("a post", "a post"), ["near", "nearer it"])
    assert loaded == ["a/model"]


def test_a_model_that_cannot_be_loaded_is_named(monkeypatch):
    def fail(path: str, trust_remote_code: bool) -> None:
        raise OSError("no network\nand more of it")

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=fail))
    with pytest.raises(RunError, match=r"a/model cannot be loaded \(no network\)"):
        EmbeddingOracle("a/model", 0.0, batch_size=4, temperature=0.0, flip=0.0).load()


def test_bad_values_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)temperature=-1.*length_penalty=-2.*batch_size=0"):
        EmbeddingOracle("path", length_penalty=-2, batch_size=0, temperature=-1, flip=0.5)
