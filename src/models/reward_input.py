"""How a prompt and a response become the input of a reward model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.runtime.errors import RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Prompt and response as the tokenizer's two segments, or as two turns of its chat template.
INPUTS = ("pair", "chat")

# One (prompt, response): input_ids, and token_type_ids where the model distinguishes segments.
Encoded = dict[str, list[int]]


@dataclass(frozen=True)
class RewardInput:
    """Encodes prompts and responses, at most `max_length` tokens together.

    Args:
        tokenizer: the reward model's tokenizer.
        input: "pair" encodes prompt and response as the tokenizer's two segments, "chat" as a user's and an assistant's
            turn in the tokenizer's chat template.
        max_length: longest input, in tokens. A longer input loses the beginning of its prompt; if no prompt is left,
            the end of its response.
        segments: whether the model takes token_type_ids.
    """

    tokenizer: "PreTrainedTokenizerBase"
    input: str
    max_length: int
    segments: bool

    def encode(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Encoded]:
        """Encodes `texts[i]` as a response to `prompts[i]`.

        Returns:
            N inputs, each of at most `max_length` tokens.

        Raises:
            RunError: if an empty prompt and response already take more tokens.
        """
        whole = self._tokens(prompts, texts)
        return [
            row if len(row["input_ids"]) <= self.max_length else self._cut(prompt, text)
            for row, prompt, text in zip(whole, prompts, texts, strict=True)
        ]

    def _cut(self, prompt: str, text: str) -> Encoded:
        # Texts are cut, not ids, so that the tokens that a template or a tokenizer puts around both texts stay.
        while (excess := len((row := self._tokens([prompt], [text])[0])["input_ids"]) - self.max_length) > 0:
            if prompt:
                starts = self._token_starts(prompt)
                prompt = prompt[max(1, starts[excess]) :] if excess < len(starts) else ""
            elif text:
                starts = self._token_starts(text)
                text = text[: min(len(text) - 1, starts[-excess])] if excess < len(starts) else ""
            else:
                raise RunError(
                    f"an empty prompt and response take {excess + self.max_length} tokens of "
                    f"{self.tokenizer.name_or_path}; max_length={self.max_length}: expected more"
                )
        return row

    def _token_starts(self, text: str) -> list[int]:
        """The position in the text at which each of its tokens begins."""
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in encoding["offset_mapping"]]

    def _tokens(self, prompts: Sequence[str], texts: Sequence[str]) -> list[Encoded]:
        if not prompts:
            return []
        if self.input == "chat":
            turns = [
                [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
                for prompt, text in zip(prompts, texts, strict=True)
            ]
            rendered = self.tokenizer.apply_chat_template(turns, tokenize=False)
            encoding = self.tokenizer(rendered, add_special_tokens=False, verbose=False)
        else:
            encoding = self.tokenizer(list(prompts), list(texts), verbose=False)
        names = ["input_ids"]
        if self.segments and "token_type_ids" in encoding:
            names.append("token_type_ids")
        return [{name: encoding[name][row] for name in names} for row in range(len(prompts))]
