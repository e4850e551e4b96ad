"""How a prompt and a response become the input of a reward model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from src.models.plain_text import PlainText, special_ids
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
        """The whole inputs. The names of special tokens in prompts and responses are text."""
        pairs = list(zip(prompts, texts, strict=True))
        named = [any(map(self._plain.has_name, pair)) for pair in pairs]
        others = [pair for pair, name in zip(pairs, named, strict=True) if not name]
        whole = iter(self._batch(self.tokenizer, others, [self._rendered(*pair) for pair in others]))
        return [self._unaware(*pair) if name else next(whole) for pair, name in zip(pairs, named, strict=True)]

    def _unaware(self, prompt: str, text: str) -> Encoded:
        rendered = self._plain.renamed([prompt, text], self._rendered)[0] if self.input == "chat" else ""
        return self._batch(self._plain.unaware, [(prompt, text)], [rendered])[0]

    def _rendered(self, prompt: str, text: str) -> str:
        """The conversation; empty where prompt and response are segments."""
        if self.input != "chat":
            return ""
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False))

    def _batch(
        self, tokenizer: "PreTrainedTokenizerBase", pairs: Sequence[tuple[str, str]], rendered: Sequence[str]
    ) -> list[Encoded]:
        if not pairs:
            return []
        if self.input == "chat":
            encoding = tokenizer(list(rendered), add_special_tokens=False, verbose=False)
        else:
            encoding = tokenizer([prompt for prompt, _ in pairs], [text for _, text in pairs], verbose=False)
        names = ["input_ids"]
        if self.segments and "token_type_ids" in encoding:
            names.append("token_type_ids")
        return [{name: encoding[name][row] for name in names} for row in range(len(pairs))]

    @cached_property
    def _plain(self) -> PlainText:
        return PlainText(self.tokenizer, special_ids(self.tokenizer))
