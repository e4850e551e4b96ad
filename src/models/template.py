"""From text to the tokens that a policy reads and writes, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from src.records import Ids
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from src.models.policy import Policy

# Stands for any prompt and any response where only what is around them is looked at.
PROMPT, RESPONSE = "prompt", "@response@"
# Some chat templates write today's date into the prompt, which would make a run another one tomorrow.
TODAY = "{% macro strftime_now(format) %}17 Jun 2024{% endmacro %}"


@dataclass(frozen=True)
class Template:
    """How a prompt is put to the policy, and how its responses begin and end.

    A prompt never ends in a space: the space before a response belongs to the response, since a policy asked to go on
    after a lone space samples what hardly ever follows one.

    Args:
        tokenizer: with an end-of-sequence token; no other special token is needed.
        kind: "plain" puts the prompt as it is, with the tokens that the model has in front of a text, and a response
            begins with a space and ends with the end-of-sequence token. "chat" writes the prompt as the user's turn of
            the tokenizer's chat template, thinking switched off, and a response begins as the template has it and ends
            with the template's end of a turn. A prompt that is a dialogue itself ("Human: .. Assistant: ..") is one
            turn of the user.
        model_ends: more tokens that end a response.

    Raises:
        RunError: if a chat template is asked for and the tokenizer has none, or one that fails.
    """

    tokenizer: "PreTrainedTokenizerBase"
    kind: str
    model_ends: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.kind != "chat":
            return
        about = f"model.template=chat: the tokenizer of {self.tokenizer.name_or_path}"
        if not self.tokenizer.chat_template:
            raise RunError(f"{about} has no chat template; use model.template=plain")
        try:
            fits = RESPONSE in self._chat(PROMPT, RESPONSE) and PROMPT in self._chat(PROMPT)
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise RunError(f"{about} has a chat template that fails ({error}); use model.template=plain") from error
        if not fits:
            raise RunError(f"{about} has a chat template that leaves the turns' text out; use model.template=plain")

    def prompt_ids(self, text: str) -> Ids:
        """Token ids of a prompt, with what the model wants in front of it and nothing behind it."""
        if self.kind == "chat":
            return tuple(self.tokenizer(self._opening(text.strip()), add_special_tokens=False).input_ids)
        ids = self.tokenizer(text.strip()).input_ids
        while ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return tuple(ids)

    def response_ids(self, text: str) -> Ids:
        """Token ids of a human text after a prompt, with the token that ends it."""
        before, end = self._response_frame
        return (*self._behind_a_prompt(before + text), end)

    def text(self, ids: Ids) -> str:
        """The text of a sampled response, without special tokens and white space around it."""
        kept = ids[:-1] if ids and ids[-1] in self.end_ids else ids
        return str(self.tokenizer.decode(list(kept), skip_special_tokens=True)).strip()

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a response: a model may end a turn in more ways than its tokenizer's one."""
        return self.model_ends | {self.tokenizer.eos_token_id, self._response_frame[1]}

    @cached_property
    def _response_frame(self) -> tuple[str, int]:
        """White space that stands between prompt and response, and the token that ends a response."""
        eos = self.tokenizer.eos_token_id
        if self.kind != "chat":
            return " ", eos
        before, _, behind = self._chat(PROMPT, RESPONSE).partition(RESPONSE)
        space = before.removeprefix(self._opening(PROMPT))
        added: Mapping[int, Any] = self.tokenizer.added_tokens_decoder
        special = {*self.tokenizer.all_special_ids, *(id for id, token in added.items() if token.special)}
        ends = [id for id in self.tokenizer(behind, add_special_tokens=False).input_ids if id in special]
        return space if space.isspace() else "", ends[0] if ends else eos

    def _opening(self, prompt: str) -> str:
        """The conversation up to where the response begins."""
        return self._chat(prompt).rstrip(" ")

    def _chat(self, prompt: str, response: str | None = None) -> str:
        turns = [{"role": "user", "content": prompt}]
        if response is not None:
            turns.append({"role": "assistant", "content": response})
        return str(
            self.tokenizer.apply_chat_template(
                turns,
                chat_template=TODAY + self.tokenizer.get_chat_template(),
                tokenize=False,
                add_generation_prompt=response is None,
                enable_thinking=False,
            )
        )

    def _behind_a_prompt(self, text: str) -> list[int]:
        """Token ids as they are within a text: at its start some tokenizers (Llama 2's) put a space of their own."""
        within, before = (self.tokenizer(one, add_special_tokens=False).input_ids for one in (f"\n{text}", "\n"))
        if within[: len(before)] == before:
            return within[len(before) :]
        return self.tokenizer(text, add_special_tokens=False).input_ids


def template_of(policy: "Policy", kind: str) -> Template:
    """The template of a policy, with the end tokens that its model's own generation settings name."""
    ends = policy.model.generation_config.eos_token_id
    more = ends if isinstance(ends, list) else [] if ends is None else [ends]
    return Template(policy.tokenizer, kind, frozenset(more))
