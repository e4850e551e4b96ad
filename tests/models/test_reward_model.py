"""Rewards do not depend on what else is asked, and what is too long keeps its response."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from src.models.reward_model import (
    RewardModel,
    batches,
    keep_head_exact,
    load_reward_model,
    mark_segments,
    new_reward_model,
)
from src.runtime.errors import RunError
from tests.classifiers import KINDS, make_model, make_tokenizer, save_classifier
from tests.tiny import tiny_model, tiny_tokenizer

CPU = torch.device("cpu")
# Different lengths, a repetition, an empty response, characters of several bytes, one of several tokens a character.
ASKED = [
    ("a question", "a good answer"),
    ("a question", "a bad reply of nobody at all, and then some more of the same"),
    ("why", ""),
    ("eine Frage: wie geht's dir, 你好?", "größer als 🙂"),
    ("a question", "a good answer"),
    ("one two three four five six seven " * 2, "x"),
]
PROMPTS, TEXTS = [prompt for prompt, _ in ASKED], [text for _, text in ASKED]


def loaded(folder: Path, input: str = "pair", max_length: int = 96, batch_tokens: int = 150) -> RewardModel:
    model, tokenizer = load_reward_model(str(folder), CPU)
    return RewardModel(model, tokenizer, input, max_length, batch_tokens)


def one_by_one(rewards: RewardModel) -> list[float]:
    with torch.no_grad():
        return [rewards.rewards(rewards.encode([p], [t])).item() for p, t in ASKED]


@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_batches_as_one_by_one(tmp_path: Path, kind: str, side: str, input: str) -> None:
    rewards = loaded(save_classifier(tmp_path, kind, padding_side=side), input)
    alone = one_by_one(rewards)
    assert len(set(alone)) == len(ASKED) - 1  # they tell the rows apart, the repetition aside
    assert rewards.score(PROMPTS, TEXTS) == pytest.approx(alone, abs=1e-5)
    order = [3, 0, 5, 1, 2, 4]
    shuffled = rewards.score([PROMPTS[i] for i in order], [TEXTS[i] for i in order])
    assert shuffled == pytest.approx([alone[i] for i in order], abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("input", ["pair", "chat"])
def test_a_model_without_a_padding_token_reads_its_last_token(tmp_path: Path, kind: str, input: str) -> None:
    rewards = loaded(save_classifier(tmp_path, kind, pad=False), input, batch_tokens=1000)
    assert rewards.model.config.pad_token_id is None
    expected = []
    for row in rewards.encode(PROMPTS, TEXTS):
        with torch.no_grad():
            expected.append(rewards.model(torch.tensor([row["input_ids"]])).logits.item())
    assert rewards.score(PROMPTS, TEXTS) == pytest.approx(expected, abs=1e-5)
    assert rewards.model.config.pad_token_id is None
    # The chat template ends in the end token, which would be taken for padding if it were the padding token.
    assert input == "pair" or rewards.encode(["a"], ["b"])[0]["input_ids"][-1] == rewards.tokenizer.eos_token_id


def test_where_every_token_is_used_none_can_pad(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "llama", pad=False))
    rows = [{"input_ids": list(range(300))}, {"input_ids": [7, 8]}]
    with torch.no_grad():
        alone = [rewards.rewards([row]).item() for row in rows]
        assert rewards.rewards(rows).tolist() == pytest.approx(alone, abs=1e-5)


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


LONG_PROMPT = "".join(f"sentence {number} of the prompt. " for number in range(40))
RESPONSE = "this must stay, all of it!"


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


def test_nothing_asked_is_nothing_computed(tmp_path: Path) -> None:
    assert loaded(save_classifier(tmp_path, "bert")).score([], []) == []


def test_a_limit_below_what_stands_around_every_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="an empty prompt and response take 3 tokens .*max_length=2"):
        loaded(save_classifier(tmp_path, "bert"), max_length=2).score(["a"], ["b"])


def test_what_is_asked_twice_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewards, seen = loaded(save_classifier(tmp_path, "llama")), []
    forward = rewards.model.forward
    monkeypatch.setattr(
        rewards.model, "forward", lambda **inputs: seen.append(inputs["input_ids"].shape[0]) or forward(**inputs)
    )
    scores = rewards.score(["a", "b", "a", "a"], ["x", "x", "x", "y"])
    assert sum(seen) == 3
    assert scores[0] == scores[2] != scores[1]
    assert not any(parameter.grad is not None for parameter in rewards.model.parameters())


@pytest.mark.parametrize("tokens", [1, 10, 17, 1000])
def test_batches_hold_their_tokens(tokens: int) -> None:
    lengths = [3, 9, 1, 4, 4, 10, 2, 8]
    found = list(batches(lengths, tokens))
    assert sorted(index for batch in found for index in batch) == list(range(8))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    flat = [lengths[index] for batch in found for index in batch]
    assert flat == sorted(flat, reverse=True)
    assert list(batches([], tokens)) == []


@pytest.mark.parametrize("labels", [2, 5])
def test_more_labels_than_one_are_refused(tmp_path: Path, labels: int) -> None:
    save_classifier(tmp_path, "bert", labels)
    expected = f"expected a reward model, with one label; found BertForSequenceClassification with {labels} labels"
    with pytest.raises(RunError, match=expected):
        loaded(tmp_path)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    model = tiny_model()
    model.config.num_labels = 1
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(RunError, match="no trained reward model: it has no weights for score.weight"):
        loaded(tmp_path)


def test_an_input_longer_than_the_models_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="reads at most 96 tokens; max_length=97"):
        loaded(save_classifier(tmp_path, "bert"), max_length=97)


def test_relative_positions_end_nowhere(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "deberta"), max_length=200)
    assert rewards.model.config.max_position_embeddings < 200
    assert len(rewards.encode([LONG_PROMPT], ["x"])[0]["input_ids"]) > 190
    assert len(rewards.score([LONG_PROMPT], ["x"])) == 1


def test_chat_needs_a_template(tmp_path: Path) -> None:
    save_classifier(tmp_path, "llama")
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = None
    with pytest.raises(RunError, match="no chat template, which input=chat needs; use input=pair"):
        RewardModel(make_model("llama"), tokenizer, "chat", 10, 10)


def test_a_missing_model_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be loaded .* oracle.path=DIR judge.path=DIR") as caught:
        loaded(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="cannot be loaded .* reward.path=DIR"):
        new_reward_model(str(tmp_path / "nowhere"), CPU, 0)


@pytest.fixture
def bfloat16() -> Iterator[PreTrainedModel]:
    yield make_model("llama").to(torch.bfloat16)


def test_a_bfloat16_model_has_rewards_of_float32(bfloat16: PreTrainedModel) -> None:
    keep_head_exact(bfloat16)
    rewards = RewardModel(bfloat16, make_tokenizer("llama"), "pair", 96, 1000)
    found = torch.tensor(rewards.score(PROMPTS, TEXTS))
    assert not torch.equal(found, found.bfloat16().float())
    exact = RewardModel(make_model("llama"), make_tokenizer("llama"), "pair", 96, 1000).score(PROMPTS, TEXTS)
    assert found.tolist() == pytest.approx(exact, abs=0.5)


def test_a_new_model_marks_segments_and_pads(tmp_path: Path) -> None:
    """A causal LM whose tokenizer joins two texts without a mark and knows no padding token."""
    make_tokenizer("llama", pad=False).save_pretrained(tmp_path)
    tiny_model(vocab_size=300).save_pretrained(tmp_path)
    model, tokenizer = new_reward_model(str(tmp_path), CPU, 0)
    assert model.config.num_labels == 1 and model.config.pad_token_id == tokenizer.pad_token_id == 2
    assert torch.equal(model.model.embed_tokens.weight, AutoModelForCausalLM.from_pretrained(tmp_path).lm_head.weight)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    again = AutoTokenizer.from_pretrained(saved)
    for one in (tokenizer, again):
        assert one.decode(one("a question", "an answer").input_ids) == "a question</s>an answer</s>"
        assert one("a question").input_ids[-1] != 2
    other, _ = new_reward_model(str(tmp_path), CPU, 1)
    assert not torch.equal(model.score.weight, other.score.weight)
    before = RewardModel(model.eval(), tokenizer, "pair", 60, 100).score(PROMPTS, TEXTS)
    assert loaded(saved, max_length=60).score(PROMPTS, TEXTS) == pytest.approx(before, abs=1e-5)


def test_a_tokenizer_that_marks_segments_is_left_alone() -> None:
    tokenizer = make_tokenizer("bert")
    before = tokenizer("a", "b").input_ids
    mark_segments(tokenizer)
    assert tokenizer("a", "b").input_ids == before


def test_a_tokenizer_without_padding_and_end_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("llama", pad=False)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    make_model("llama").save_pretrained(tmp_path)
    with pytest.raises(RunError, match="no padding and no end-of-sequence token"):
        new_reward_model(str(tmp_path), CPU, 0)
