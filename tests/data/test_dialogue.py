import doctest

import pytest

from src.data import dialogue
from src.data.dialogue import prompt_and_reply
from src.data.rows import NoText

TWO_TURNS = "\n\nHuman: Hi there\n\nAssistant: Hello!\n\nHuman: A joke?\n\nAssistant: No.\n\nNever."
PROMPT = "Human: Hi there\n\nAssistant: Hello!\n\nHuman: A joke?\n\nAssistant:"


def message(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


MESSAGES = [
    message("user", "Hi there"), message("assistant", " Hello! "), message("user", "A joke?\n"),
    message("assistant", "No.\n\nNever."),
]  # fmt: skip


@pytest.mark.parametrize("dialogue", [TWO_TURNS, TWO_TURNS.strip(), TWO_TURNS + " \n", MESSAGES])
def test_the_last_reply_is_the_label_and_all_before_it_the_prompt(dialogue: object) -> None:
    assert prompt_and_reply(dialogue, "chosen") == (PROMPT, "No.\n\nNever.")


@pytest.mark.parametrize(
    ("dialogue", "prompt", "reply"),
    [
        ("\n\nHuman: a\n\nAssistant: b", "Human: a\n\nAssistant:", "b"),
        # An empty turn in the middle is a turn, and leaves no space at the end of its line.
        ("\n\nHuman: a\n\nAssistant:\n\nHuman: b\n\nAssistant: c",
         "Human: a\n\nAssistant:\n\nHuman: b\n\nAssistant:", "c"),
        ("\n\nHuman: a\n\nHuman: b\n\nAssistant: c", "Human: a\n\nHuman: b\n\nAssistant:", "c"),
        # Names count at the beginning of a paragraph only.
        ("\n\nHuman: say Human: and\nAssistant: x\n\nAssistant: b",
         "Human: say Human: and\nAssistant: x\n\nAssistant:", "b"),
        ("\n\nHuman: ü\u2028漢 🎉\n\nAssistant: ß", "Human: ü\u2028漢 🎉\n\nAssistant:", "ß"),
        ([message("system", "be kind"), message("human", "a"), message("Assistant", "b")],
         "System: be kind\n\nHuman: a\n\nAssistant:", "b"),
    ],
)  # fmt: skip
def test_turns(dialogue: object, prompt: str, reply: str) -> None:
    assert prompt_and_reply(dialogue, "chosen") == (prompt, reply)


@pytest.mark.parametrize(
    ("dialogue", "said"),
    [
        ("\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "ends in a turn of Human"),
        ("\n\nHuman: a", "ends in a turn of Human"),
        ("\n\nHuman: a\n\nAssistant:", "ends in an empty turn"),
        ("\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: \n ", "ends in an empty turn"),
        ("\n\nHuman:\n\nAssistant: b", "no turn of Human"),
        ("\n\nAssistant: b", "no turn of Human"),
        ("", "is empty"),
        (" \n", "is empty"),
        ([], "ends in nothing"),
        (MESSAGES[:3], "ends in a turn of Human"),
        ([*MESSAGES[:3], message("assistant", "")], "ends in an empty turn"),
    ],
)
def test_a_dialogue_without_a_reply(dialogue: object, said: str) -> None:
    with pytest.raises(NoText, match=f"'chosen'.*{said}"):
        prompt_and_reply(dialogue, "chosen")


@pytest.mark.parametrize(
    ("dialogue", "said"),
    [
        (None, "'chosen' is null, expected text"),
        (3, "'chosen' is int"),
        ("just a text", "is no dialogue"),
        ("once: \n\nHuman: a\n\nAssistant: b", "is no dialogue"),
        ("\n\nHuman: a \ud83d\n\nAssistant: b", "half of a surrogate pair"),
        (["a", "b"], "message 1 of 'chosen' is no object"),
        ([message("user", "a"), {"role": "assistant"}], "message 2 of 'chosen' is no object"),
        ([message("user", None), message("assistant", "b")], "content of message 1 of 'chosen' is null"),
        ([message("tool", "a"), message("assistant", "b")], "role 'tool', expected one of human, user"),
    ],
)
def test_what_is_no_dialogue(dialogue: object, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        prompt_and_reply(dialogue, "chosen")
    assert not isinstance(caught.value, NoText)


def test_the_example_in_the_docstring() -> None:
    failed, attempted = doctest.testmod(dialogue)
    assert attempted and not failed
