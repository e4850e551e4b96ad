"""The words in which a language model is asked which of two responses is better."""

import re
from dataclasses import dataclass

from src.oracles.chat_completion import sendable
from src.runtime.errors import require

SLOT = re.compile(r"\{(prompt|first|second)\}")


@dataclass(frozen=True)
class PromptTemplate:
    """The question of one task.

    `{prompt}`, `{first}` and `{second}` are replaced by the texts, unchanged. Any other brace, in the template or in a
    text, stays a brace:

        >>> PromptTemplate("Judge.", "{prompt} A: {first} B: {second}").messages("2 + 2?", "4", "5")[1]
        {'role': 'user', 'content': '2 + 2? A: 4 B: 5'}

    Args:
        system: the system message.
        user: the user message.

    Raises:
        ValueError: if a slot is in neither message.
    """

    system: str
    user: str

    def __post_init__(self) -> None:
        lacking = sorted({"prompt", "first", "second"} - set(SLOT.findall(self.system + self.user)))
        require((not lacking, f"user: the template lacks {', '.join(f'{{{name}}}' for name in lacking)}"))

    def messages(self, prompt: str, first: str, second: str) -> list[dict[str, str]]:
        """The chat messages that ask about two responses, the first shown as A."""
        texts = {"prompt": prompt, "first": first, "second": second}
        return [
            {"role": role, "content": sendable(SLOT.sub(lambda slot: texts[slot[1]], template))}
            for role, template in (("system", self.system), ("user", self.user))
        ]
