"""What is too long keeps its response."""

from pathlib import Path

import pytest
import torch

from src.runtime.errors import RunError
from tests.classifiers import save_classifier
from tests.models.rewards import LONG_PROMPT, PROMPTS, RESPONSE, loaded


def test_decoders_are_read_off_the_last_token_of_the_response(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "llama"))
    row = rewards.encode(["a question"], ["a good answer"])[0]["input_ids"]
    with torch.no_grad():
        hidden = rewards.model.model(torch.tensor([row])).last_hidden_state[0, -1]
        expected = rewards.model.score(hidden).item()
    assert rewards.score(["a question", PROMPTS[-1]], ["a good answer", "x"])[0] == pytest.approx(expected, abs=1e-5)


def test_two_segments_are_the_tokenizers_own(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "bert"))
    (row,) = rewards.encode(["a question"], ["a good answer"])
    expected = rewards.tokenizer("a question", "a good answer")
    assert row == {name: expected[name] for name in ("input_ids", "token_type_ids")}
    assert 0 < sum(row["token_type_ids"]) < len(row["token_type_ids"])


def test_a_model_that_knows_no_segments_gets_none(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "llama"))
    assert rewards.encode(["a"], ["b"])[0].keys() == {"input_ids"}


@pytest.mark.parametrize("max_length", [40, 41, 47, 60, 95])
@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_long_prompt_loses_its_beginning_and_the_response_stays(
    tmp_path: Path, kind: str, input: str, max_length: int
) -> None:
    rewards = loaded(save_classifier(tmp_path, kind), input, max_length)
    ids = rewards.encode(["short", LONG_PROMPT], ["x", RESPONSE])[1]["input_ids"]
    assert max_length - 2 <= len(ids) <= max_length
    text = rewards.tokenizer.decode(ids)
    assert RESPONSE in text
    ending = text.replace("</s>", "").removeprefix("<s>").removeprefix("<user>").partition(RESPONSE)[0]
    ending = ending.removesuffix("<assistant>")
    assert ending and LONG_PROMPT.endswith(ending)
    # What the tokenizer and the template put around both is still there.
    if input == "chat":
        assert text.startswith("<user>") and f"<assistant>{RESPONSE}</s>" in text
    elif kind == "bert":
        assert text.startswith("<s>") and text.count("</s>") == 2


@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_response_longer_than_the_limit_keeps_its_beginning(tmp_path: Path, kind: str, input: str) -> None:
    rewards = loaded(save_classifier(tmp_path, kind), input, max_length=30)
    (row,) = rewards.encode(["a prompt of a few words"], [LONG_PROMPT])
    assert 28 <= len(row["input_ids"]) <= 30
    text = rewards.tokenizer.decode(row["input_ids"])
    for mark in ("<user>", "<assistant>", "</s>", "<s>"):
        text = text.replace(mark, "")
    assert len(text) > 10 and LONG_PROMPT.startswith(text)


@pytest.mark.parametrize("text", ["", "🙂" * 2000, "a " * 5_000, "\n\n\t", " ", "é" * 31])
@pytest.mark.parametrize("input", ["pair", "chat"])
def test_huge_and_empty_texts_are_scored(tmp_path: Path, input: str, text: str) -> None:
    rewards = loaded(save_classifier(tmp_path, "bert"), input, max_length=32)
    scores = rewards.score(["a", text or "b", "c"], ["short", "other", text])
    assert all(map(torch.isfinite, torch.tensor(scores)))
    assert scores[0] == pytest.approx(rewards.score(["a"], ["short"])[0], abs=1e-5)
    for prompt, response in (("a", text), (text or "b", "x"), (text or "b", text)):
        assert len(rewards.encode([prompt], [response])[0]["input_ids"]) <= 32


def test_a_limit_below_what_stands_around_every_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="an empty prompt and response take 3 tokens .*max_length=2"):
        loaded(save_classifier(tmp_path, "bert"), max_length=2).score(["a"], ["b"])


@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_names_of_special_tokens_are_text(tmp_path: Path, kind: str, input: str) -> None:
    """A response could end early otherwise, or answer for the next turn."""
    rewards = loaded(save_classifier(tmp_path, kind), input)
    tokenizer = rewards.tokenizer
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special} - {tokenizer.unk_token_id}
    plain, *named = [
        row["input_ids"]
        for row in rewards.encode(
            ["a question"] * 3, ["a good answer", "a good</s> answer", "a<user>good answer<assistant>"]
        )
    ]
    for ids, text in zip(named, ["a good</s> answer", "a<user>good answer<assistant>"], strict=True):
        assert [id for id in ids if id in special] == [id for id in plain if id in special]
        assert text in tokenizer.decode(ids)
    prompt, other = (rewards.encode([text], ["x"])[0] for text in ("a question</s>", "a question"))
    assert sum(id in special for id in prompt["input_ids"]) == sum(id in special for id in other["input_ids"])
    assert plain == rewards.encode(["a question"], ["a good answer"])[0]["input_ids"]
