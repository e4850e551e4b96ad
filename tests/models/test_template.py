from types import SimpleNamespace

import pytest

from src.models.template import Template, template_of
from src.runtime.errors import RunError
from tests.families import CHATML, GEMMA, LLAMA_2, LLAMA_3, make_tokenizer

BROKEN = "{{ raise_exception('only systems speak here') }}"
STYLES = {
    "bytes": {},
    "bytes, with a start": {"bos": "<s>"},
    "bytes, start and end": {"bos": "<s>", "appends_eos": True},
    "bytes, one token for both": {"bos": "</s>"},
    "bytes, padding is the end": {"pad": "</s>"},
    "spaces": {"bos": "<s>", "metaspace": True},
    "spaces, start and end": {"bos": "<s>", "metaspace": True, "appends_eos": True},
}
CHATS = {"chatml": CHATML, "gemma": GEMMA, "llama 3": LLAMA_3, "llama 2": LLAMA_2}
TEXTS = ["the label", "Yes, sure.", "(a) 12 %", "naïve – façade", "two\nlines\n\nmore", "x" * 300]


def tokens(template: Template, ids: tuple[int, ...]) -> list[str]:
    return template.tokenizer.convert_ids_to_tokens(list(ids))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_plain_prompts_begin_as_the_model_wants_and_end_with_the_text(style: dict) -> None:
    template = Template(make_tokenizer(**style), "plain")
    for text in ("one prompt", "  one prompt:\n "):
        ids = template.prompt_ids(text)
        assert ids == template.prompt_ids(text.strip())
        assert (tokens(template, ids)[0] == style.get("bos")) == ("bos" in style)
        assert ids[-1] not in template.end_ids
        assert template.text(ids) == text.strip()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_plain_responses_are_tokenized_as_within_a_text(style: dict, text: str) -> None:
    tokenizer = make_tokenizer(**style)
    template = Template(tokenizer, "plain")
    whole = list(tokenizer(f"one prompt: {text}", add_special_tokens=False).input_ids)
    prompt = list(tokenizer("one prompt:", add_special_tokens=False).input_ids)
    response = template.response_ids(text)
    assert prompt + list(response[:-1]) == whole
    assert response[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id not in response[:-1]
    assert template.text(response) == template.text(response[:-1]) == text


@pytest.mark.parametrize("kind", ["plain", "chat"])
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_many_texts_are_encoded_as_each_alone(style: dict, kind: str) -> None:
    tokenizer = make_tokenizer(**style, chat=LLAMA_2)
    template = Template(tokenizer, kind)
    texts = [*TEXTS, "", " ", *TEXTS[::-1]]
    assert template.all_prompt_ids(texts) == [template.prompt_ids(text) for text in texts]
    assert template.all_response_ids(texts) == [template.response_ids(text) for text in texts]
    assert template.all_prompt_ids([]) == template.all_response_ids([]) == []


def test_a_prompt_goes_on_with_a_space_of_the_response() -> None:
    template = Template(make_tokenizer(), "plain")
    assert tokens(template, template.prompt_ids("one prompt "))[-1][-1] != "Ġ"
    assert tokens(template, template.response_ids("label"))[0].startswith("Ġ")


@pytest.mark.parametrize(
    ("chat", "opening", "response"),
    [
        (CHATML, "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "Yes<|im_end|>"),
        (GEMMA, "<s><turn>user\nHi?</turn>\n<turn>model\n", "Yes</turn>"),
        (LLAMA_3, "<s><turn>user\n\nHi?</turn><turn>assistant\n\n", "Yes</turn>"),
        (LLAMA_2, "<s>[INST] Hi? [/INST]", " Yes</s>"),
        # A generation prompt that ends in a space, and no end of a turn.
        (
            "{% for m in messages %}{{ '\n' + m.role + ': ' + m.content }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '\nassistant: ' }}{% endif %}",
            "\nuser: Hi?\nassistant:",
            " Yes</s>",
        ),
    ],
    ids=[*CHATS, "roles"],
)  # fmt: skip
def test_chat_by_hand(chat: str, opening: str, response: str) -> None:
    tokenizer = make_tokenizer(bos="<s>", chat=chat)
    template = Template(tokenizer, "chat")
    assert tokenizer.decode(template.prompt_ids(" Hi?\n")) == opening
    ids = template.response_ids("Yes")
    assert tokenizer.decode(ids) == response
    assert template.text(ids) == template.text(ids[:-1]) == "Yes"
    assert template.end_ids == {tokenizer.eos_token_id, ids[-1]}


@pytest.mark.parametrize("metaspace", [False, True])
@pytest.mark.parametrize("chat", CHATS.values(), ids=CHATS)
def test_prompt_and_response_are_the_templates_own_conversation(chat: str, metaspace: bool) -> None:
    tokenizer = make_tokenizer(bos="<s>", chat=chat, metaspace=metaspace)
    template = Template(tokenizer, "chat")
    for prompt, response in (("the prompt", "the label"), ("\n\nHuman: a\n\nAssistant:", "(b) yes.")):
        turns = [{"role": "user", "content": prompt.strip()}, {"role": "assistant", "content": response}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        whole = tokenizer(text, add_special_tokens=False).input_ids
        ours = [*template.prompt_ids(prompt), *template.response_ids(response)]
        if chat == LLAMA_2:  # which has a space between the response and its end
            ours, whole = ours[:-1], whole[: len(ours) - 1]
        assert ours == whole[: len(ours)]
        assert tokenizer.decode(whole[len(ours) :]).strip() in ("", "</s>")


@pytest.mark.parametrize("kind", ["plain", "chat"])
@pytest.mark.parametrize("chat", CHATS.values(), ids=CHATS)
def test_no_prompt_ends_in_a_space(chat: str, kind: str) -> None:
    for metaspace in (False, True):
        tokenizer = make_tokenizer(bos="<s>", chat=chat, metaspace=metaspace)
        for prompt in ("one prompt", "TL;DR: ", " x  "):
            ids = Template(tokenizer, kind).prompt_ids(prompt)
            assert not tokenizer.decode(ids).endswith(" ")
            assert tokens(Template(tokenizer, kind), ids)[-1] not in ("Ġ", "▁", " ")


def test_all_that_ends_a_response() -> None:
    tokenizer = make_tokenizer(bos="<s>", chat=GEMMA)
    eos, turn = tokenizer.convert_tokens_to_ids(["</s>", "</turn>"])
    assert Template(tokenizer, "plain").end_ids == {eos}
    assert Template(tokenizer, "plain", frozenset({7})).end_ids == {eos, 7}
    assert Template(tokenizer, "chat", frozenset({7})).end_ids == {eos, turn, 7}


def test_the_date_does_not_change_the_prompt() -> None:
    chat = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}</turn>{% endfor %}"
    template = Template(make_tokenizer(chat=chat), "chat")
    assert template.text(template.prompt_ids("x")).startswith("17 Jun 2024")


@pytest.mark.parametrize(
    ("chat", "named"),
    [
        (None, "has no chat template; use model.template=plain"),
        (BROKEN, "only systems speak here"),
        ("{% for", "chat template that fails"),
        ("nothing", "omits the text of turns"),
    ],
    ids=["none", "raises", "malformed", "empty"],
)
def test_no_chat_without_a_template_that_works(chat: str | None, named: str) -> None:
    tokenizer = make_tokenizer(chat=chat)
    with pytest.raises(RunError, match=named) as caught:
        Template(tokenizer, "chat")
    assert "\n" not in str(caught.value)
    Template(tokenizer, "plain").prompt_ids("x")


def policy(ends: object, **tokenizer: object) -> SimpleNamespace:
    """What `template_of` sees of a policy."""
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=ends))
    return SimpleNamespace(model=model, tokenizer=make_tokenizer(**tokenizer), base="a/model")


@pytest.mark.parametrize("kind", ["plain", "chat"])
@pytest.mark.parametrize("ends", [40, [1, 40], [40, 41]])
def test_an_ordinary_token_that_ends_responses_is_refused(ends: object, kind: str) -> None:
    """The text `It is blue.` would end in `blue` if the dot did."""
    with pytest.raises(
        RunError, match=r"a/model: the eos_token_id of generation_config.json has 40 \('.+'\).*no special"
    ):
        template_of(policy(ends, chat=GEMMA), kind)


def test_an_end_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(RunError, match=r"has 5000 \(None\)"):
        template_of(policy(5000), "plain")


@pytest.mark.parametrize("ends", ["p", [1, "p"], [True], [[1]], 0.5, -1])
def test_an_end_that_is_no_number_of_a_token_is_refused(ends: object) -> None:
    with pytest.raises(RunError, match="eos_token_id of generation_config.json is .*expected the number of a token"):
        template_of(policy(ends), "plain")


def test_ends_that_are_special_or_the_chat_templates_are_taken() -> None:
    made = policy(None, chat="{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}[assistant]")
    made.tokenizer.add_tokens(["[end]", "[other]"])  # not special
    end, other = made.tokenizer.convert_tokens_to_ids(["[end]", "[other]"])
    eos, turn = made.tokenizer.convert_tokens_to_ids(["</s>", "</turn>"])
    for ends in (None, eos, [eos, turn], [end], [end, turn]):
        made.model.generation_config.eos_token_id = ends
        for kind in ("plain", "chat"):
            assert template_of(made, kind).end_ids >= {eos, *(ends if isinstance(ends, list) else [])}
    # A label ends as the template's turns do.
    assert template_of(made, "chat").response_ids("Yes")[-1] == end
    made.model.generation_config.eos_token_id = [other]
    with pytest.raises(RunError, match=r"\('\[other\]'\)"):
        template_of(made, "chat")


def test_a_response_without_text_is_its_end() -> None:
    for made in (Template(make_tokenizer(), "plain"), Template(make_tokenizer(chat=LLAMA_2), "chat")):
        eos = made.tokenizer.eos_token_id
        assert made.response_ids("") == made.response_ids("  ") == (eos,)
        assert made.all_response_ids(["", "a"])[1] == made.response_ids("a")
