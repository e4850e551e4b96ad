import pytest

from src.data.tokenized import tokenize
from src.models.template import Template
from src.records import Row
from src.runtime.errors import RunError
from tests.tiny import tiny_tokenizer

TEMPLATE = Template(tiny_tokenizer(), "plain")

ROWS = [Row(f"prompt {'x' * n}", f"label {'y' * (5 - n)}") for n in range(6)]


def lengths(rows: list[Row]) -> tuple[list[int], list[int]]:
    prompts = tokenize(rows, TEMPLATE, 1000, "train")
    return [len(prompt.ids) for prompt in prompts], [len(prompt.label_ids) for prompt in prompts]


def test_the_longest_prompt_and_label_that_are_kept() -> None:
    prompts, labels = lengths(ROWS)
    for limit in sorted(set(labels)):
        # The end token does not count: labels of exactly so many tokens of text are kept.
        kept = tokenize(ROWS, TEMPLATE, prompts[5], "train", max_label_tokens=limit - 1)
        assert [p.id for p in kept] == [n for n in range(6) if labels[n] <= limit]
        kept = tokenize(ROWS, TEMPLATE, prompts[4], "train")
        assert [p.id for p in kept] == [0, 1, 2, 3, 4]


def test_what_is_left_out_is_counted_by_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    prompts, labels = lengths(ROWS)
    tokenize(ROWS, TEMPLATE, prompts[3], "train", max_label_tokens=labels[2] - 1)
    assert "train: 2 of 6 prompts are longer" in caplog.text
    assert "train: 2 of 6 labels are longer" in caplog.text
    caplog.clear()
    tokenize(ROWS, TEMPLATE, 1000, "train", max_label_tokens=1000)
    assert caplog.text == ""


def test_the_first_of_those_that_fit() -> None:
    labels = lengths(ROWS)[1]
    kept = tokenize(ROWS, TEMPLATE, 1000, "test", 2, labels[2] - 1)
    assert [p.id for p in kept] == [2, 3]


def test_rows_of_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tokenize(ROWS, TEMPLATE, 1000, "train")
    monkeypatch.setattr("src.data.tokenized.BATCH", 4)
    assert tokenize(ROWS, TEMPLATE, 1000, "train") == whole
    assert tokenize(ROWS, TEMPLATE, 1000, "train", 5) == whole[:5]


def test_none_left() -> None:
    with pytest.raises(RunError, match="max_prompt_tokens=1000 tokens, and its label at most task.max_label_tokens=1"):
        tokenize(ROWS, TEMPLATE, 1000, "test", None, 1)


def test_pairs_are_tokens_like_labels() -> None:
    (prompt,) = tokenize([Row("p", "good", None, "good", "bad")], TEMPLATE, 10, "train")
    assert prompt.pair_ids is not None and prompt.pair_ids[0] == prompt.label_ids
    assert tiny_tokenizer().decode(prompt.pair_ids[1][:-1]) == " bad"
    assert prompt.pair_ids[1][-1] == tiny_tokenizer().eos_token_id
    assert tokenize([Row("p", "good")], TEMPLATE, 10, "train")[0].pair_ids is None


def test_the_name_of_an_end_token_behind_a_text_is_taken_off_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The public TL;DR sets end every summary in `<|endoftext|>`, whatever the tokenizer's end is called."""
    rows = [
        Row("a", "It is blue.<eos>"),
        Row("b", "It is blue. <|endoftext|> ", None, "Blue 8.", "Blue 8.<|endoftext|>"),
        Row("c", "It is <eos> blue.<eos><eos>"),
        Row("d", "plain", None, "good<eos>", "bad"),
        Row("e", "no <eos"),
    ]
    prompts = tokenize(rows, TEMPLATE, 1000, "train")
    texts = [prompt.row.label for prompt in prompts]
    assert texts == ["It is blue.", "It is blue.", "It is <eos> blue.<eos>", "plain", "no <eos"]
    assert prompts[1].row.chosen == prompts[1].row.rejected == "Blue 8."
    assert prompts[3].row.chosen == "good" and prompts[3].row.rejected == "bad"
    eos = tiny_tokenizer().eos_token_id
    for prompt in prompts:
        for ids in (prompt.label_ids, *(prompt.pair_ids or ())):
            assert ids.index(eos) == len(ids) - 1  # the end stands at the end alone
        assert TEMPLATE.text(prompt.label_ids) == prompt.row.label
    assert caplog.text.count("train: 4 rows have the name of an end token behind label or response") == 1


def test_a_label_of_nothing_but_an_end_is_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    prompts = tokenize([Row("a", "<eos>"), Row("b", "text"), Row("c", " <|endoftext|>")], TEMPLATE, 1000, "train")
    assert [prompt.id for prompt in prompts] == [1]
    assert "train: 2 labels are nothing but the name of an end token" in caplog.text
    # A prompt that is asked has no label.
    assert len(tokenize([Row("a", "")], TEMPLATE, 1000, "prompt")) == 1


def test_names_of_special_tokens_in_prompts_are_text() -> None:
    (prompt,) = tokenize([Row("Say <eos>", "<pad>")], TEMPLATE, 1000, "train")
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(prompt.ids) == "Say <eos>" and tokenizer.eos_token_id not in prompt.ids
    assert tokenizer.decode(prompt.label_ids) == " <pad><eos>" and tokenizer.pad_token_id not in prompt.label_ids
