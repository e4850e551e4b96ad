"""Dialogues as in Anthropic's HH: everything before the last reply is the prompt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.data.rows import NoText, checked_text, value
from src.records import Row

NAMES = {"human": "Human", "user": "Human", "assistant": "Assistant", "system": "System"}
TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")

Turns = list[tuple[str, str]]


@dataclass(frozen=True)
class DialogueColumns:
    """Names of the columns that hold dialogues.

    Attributes:
        label: the dialogue whose last reply is the label.
        chosen, rejected: dialogues that end in the preferred and the other response; None where the data has no
            preferences.
    """

    label: str
    chosen: str | None
    rejected: str | None

    def row(self, fields: Mapping[str, Any]) -> Row:
        """The row of a record; without a pair where chosen and rejected differ before their last reply.

        Raises:
            NoText: if the label's dialogue does not end in a reply.
            ValueError: if a column is missing or holds no dialogue.
        """
        prompt, label = prompt_and_reply(value(fields, "label_column", self.label), self.label)
        if self.chosen is None or self.rejected is None:
            return Row(prompt, label)
        pair = []
        for option, column in (("chosen_column", self.chosen), ("rejected_column", self.rejected)):
            try:
                replied_to, reply = prompt_and_reply(value(fields, option, column), column)
            except NoText:
                continue
            if replied_to == prompt:
                pair.append(reply)
        return Row(prompt, label, None, *pair) if len(pair) == 2 else Row(prompt, label)


def prompt_and_reply(dialogue: object, column: str) -> tuple[str, str]:
    r"""Splits a dialogue before its last reply.

    A text and a list of messages with the same turns give the same prompt:

        >>> prompt_and_reply("\n\nHuman: 2 + 2?\n\nAssistant: 4", "chosen")
        ('Human: 2 + 2?\n\nAssistant:', '4')

    Args:
        dialogue: a text of turns, or a list of messages with `role` and `content`.
        column: name of the column, for messages.

    Returns:
        The dialogue up to its last "Assistant:", and the reply, both without surrounding white space.

    Raises:
        NoText: if the dialogue does not end in a reply, or nobody speaks before the reply.
        ValueError: if this is no dialogue.
    """
    turns = _messages(dialogue, column) if isinstance(dialogue, list) else _turns(dialogue, column)
    if not turns or turns[-1][0] != "Assistant":
        last = f"a turn of {turns[-1][0]}" if turns else "nothing"
        raise NoText(f"{column!r} ends in {last}, expected a turn of Assistant")
    *before, (_, reply) = turns
    if not reply:
        raise NoText(f"{column!r} ends in an empty turn")
    if not any(name == "Human" and said for name, said in before):
        raise NoText(f"{column!r} has no turn of Human before the reply")
    lines = [f"{name}: {said}".rstrip() for name, said in before]
    return "\n\n".join([*lines, "Assistant:"]), reply


def _turns(dialogue: object, column: str) -> Turns:
    text = checked_text(dialogue, repr(column))
    if not text.strip():
        raise NoText(f"{column!r} is empty")
    before, *parts = TURN.split(text)
    if before or not parts:
        raise ValueError(f"{column!r} is no dialogue: expected text that begins with Human: (data.layout=columns?)")
    return [(name, said.strip()) for name, said in zip(parts[::2], parts[1::2], strict=True)]


def _messages(messages: list[object], column: str) -> Turns:
    turns = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
            raise ValueError(f"message {number} of {column!r} is no object with role and content")
        role = checked_text(message["role"], f"the role of message {number} of {column!r}")
        if role.lower() not in NAMES:
            raise ValueError(
                f"message {number} of {column!r} has the role {role!r}, expected one of {', '.join(NAMES)}"
            )
        said = checked_text(message["content"], f"the content of message {number} of {column!r}")
        turns.append((NAMES[role.lower()], said.strip()))
    return turns
