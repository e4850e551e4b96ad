"""From text to the tokens of a policy, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from src.data.end_names import PUBLIC_END
from src.models.plain_text import WORD, PlainText, added_tokens, special_ids
from src.records import Ids
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from src.models.policy import Policy

# Placeholders, to find the text that a chat template puts around a prompt and a response.
PROMPT, RESPONSE = "prompt", "@response@"
# Some chat templates write today's date into the prompt; with a fixed date a run gives the same results tomorrow.
TODAY = "{% macro strftime_now(format) %}17 Jun 2024{% endmacro %}"


@dataclass(frozen=True)
class Template:
    """How a prompt is presented to the policy, and how responses begin and end.

    A prompt never ends in a space. The space before a response belongs to the response: tokenizers join a space with
    the word after it, so a policy has hardly seen a lone space in training.

    Args:
        tokenizer: the policy's tokenizer, with an end-of-sequence token.
        kind: "plain" takes the prompt unchanged, after the tokens that the tokenizer puts before any text; a response
            begins with a space and ends with the end-of-sequence token. "chat" takes the prompt as the user's turn in
            the tokenizer's chat template, without thinking; a response begins and ends as an assistant's turn does. A
            prompt that is a dialogue itself ("Human: .. Assistant: ..") is one turn of the user.
        model_ends: further tokens that end a response.

    Raises:
        RunError: if the tokenizer has no chat template that works, and kind is "chat".
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
            raise RunError(f"{about} has a chat template that omits the text of turns; use model.template=plain")

    def prompt_ids(self, text: str) -> Ids:
        """Token ids of a prompt, at which a response continues.

        Returns:
            The tokens that the model expects first (such as BOS), the prompt, and for "chat" the header of the
            assistant's turn; no end-of-sequence token. Names of special tokens in the prompt are text.

        Raises:
            RunError: if the tokenizer cannot encode such a name as text.
        """
        return self.all_prompt_ids([text])[0]

    def all_prompt_ids(self, texts: Sequence[str]) -> list[Ids]:
        """As `prompt_ids`, for many prompts at once, which takes half the time."""
        stripped = [text.strip() for text in texts]
        if self.kind == "chat":
            return self._turns.encode_turns(stripped, self._opening)
        return [self._without_end(ids) for ids in self._texts.encode(stripped, surrounded=True)]

    def response_ids(self, text: str) -> Ids:
        """Token ids of a human text as a response to a prompt, with the token that ends a response.

        Raises:
            RunError: as `prompt_ids`.
        """
        return self.all_response_ids([text])[0]

    def all_response_ids(self, texts: Sequence[str]) -> list[Ids]:
        """As `response_ids`, for many texts at once, which takes half the time."""
        before, end = self._response_frame
        # A response without text is its end, as when it is sampled: no space stands between prompt and end.
        return [(*ids, end) for ids in self._within_text([before + text if text.strip() else "" for text in texts])]

    def text(self, ids: Ids) -> str:
        """The text of a sampled response, without special tokens and surrounding white space."""
        return self._decoded(self._said(ids)).strip()

    def continuation(self, ids: Ids) -> tuple[str, bool]:
        """The text of a response as it continues the text of its prompt, with the space between them.

        Returns:
            The text without special tokens; and whether it encodes to the ids again, the end token aside. It does not
            where the policy sampled special tokens or split words as the tokenizer would not.
        """
        said = self._said(ids)
        before, whole = (self._decoded((*self._anchor, *end), clean_up_tokenization_spaces=False) for end in ((), said))
        text = whole.removeprefix(before)
        return text, self._within_text([text])[0] == said

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a response: the tokenizer's, the template's and the model's."""
        return self.model_ends | {self.tokenizer.eos_token_id, self._response_frame[1]}

    @cached_property
    def end_names(self) -> tuple[str, ...]:
        """The names of the tokens that end a response, and the name that public data sets use."""
        names = {str(self.tokenizer.convert_ids_to_tokens(id)) for id in self.end_ids & self._special}
        return PUBLIC_END, *sorted(name for name in names if len(name) > 2)  # no tokenizer calls its end "."

    @cached_property
    def _special(self) -> frozenset[int]:
        """The tokenizer's special tokens, and the token that ends a turn of its chat template."""
        return special_ids(self.tokenizer) | {self._response_frame[1]}

    @cached_property
    def _texts(self) -> PlainText:
        """Encodes texts that are no turns of a user."""
        return PlainText(self.tokenizer, self._special)

    @cached_property
    def _turns(self) -> PlainText:
        """Encodes the user's turns, which may hold no token that the chat template writes, special or not."""
        frame = self.tokenizer(self._chat(PROMPT, RESPONSE) + self._opening(PROMPT), add_special_tokens=False).input_ids
        return PlainText(self.tokenizer, self._special | (set(frame) & visible_added_ids(self.tokenizer)))

    @cached_property
    def _response_frame(self) -> tuple[str, int]:
        """The white space between prompt and response, and the token that ends a response."""
        eos = self.tokenizer.eos_token_id
        if self.kind != "chat":
            return " ", eos
        before, _, behind = self._chat(PROMPT, RESPONSE).partition(RESPONSE)
        space = before.removeprefix(self._opening(PROMPT))
        marks = special_ids(self.tokenizer) | visible_added_ids(self.tokenizer)
        ends = [id for id in self.tokenizer(behind, add_special_tokens=False).input_ids if id in marks]
        return space if space.isspace() else "", ends[0] if ends else eos

    @cached_property
    def _line_feed(self) -> Ids:
        """Token ids of a line feed."""
        return self._texts.encode(["\n"])[0]

    @cached_property
    def _anchor(self) -> Ids:
        """Tokens of text to decode a response behind, since some tokenizers drop the space before a first token."""
        return self._line_feed or self._texts.encode([WORD])[0]

    def _opening(self, prompt: str) -> str:
        """The conversation up to the beginning of the response."""
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

    def _within_text(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of texts that follow other text: some tokenizers (Llama 2's) begin a text with a space."""
        begun, before = self._texts.encode([f"\n{text}" for text in texts]), self._line_feed
        alone = iter(
            self._texts.encode([t for t, ids in zip(texts, begun, strict=True) if ids[: len(before)] != before])
        )
        return [ids[len(before) :] if ids[: len(before)] == before else next(alone) for ids in begun]

    def _decoded(self, ids: Ids, **options: bool) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, **options))

    def _said(self, ids: Ids) -> Ids:
        """The tokens of a response without its end token."""
        return ids[:-1] if ids and ids[-1] in self.end_ids else ids

    def _without_end(self, ids: Ids) -> Ids:
        """Token ids without end-of-sequence tokens behind them."""
        while ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return ids


def visible_added_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """The tokens, special or not, that were added to a tokenizer's vocabulary; those of white space are text."""
    return frozenset(id for id, token in added_tokens(tokenizer).items() if token.content.strip())


def template_of(policy: "Policy", kind: str) -> Template:
    """The template of a policy, of the given kind, with the end tokens of its model's generation config.

    Raises:
        RunError: if the generation config ends responses at an ordinary token, which a text may hold, or at none.
    """
    ends = policy.model.generation_config.eos_token_id
    more = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if strange := [id for id in more if type(id) is not int or id < 0]:
        raise RunError(
            f"{policy.base}: the eos_token_id of generation_config.json is {ends!r}; expected the number of a token or "
            f"a list of them, and {strange[0]!r} is none: correct eos_token_id there"
        )
    tokenizer = policy.tokenizer
    chat = str(tokenizer.chat_template or "")
    known = special_ids(tokenizer) | {
        id for id in visible_added_ids(tokenizer) if added_tokens(tokenizer)[id].content in chat
    }
    if ordinary := sorted(set(more) - known):
        names = ", ".join(f"{id} ({tokenizer.convert_ids_to_tokens(id)!r})" for id in ordinary)
        raise RunError(
            f"{policy.base}: the eos_token_id of generation_config.json has {names}, which is no special token of its "
            "tokenizer nor of its chat template, so responses would end in mid-text; expected special tokens, such as "
            f"{tokenizer.eos_token_id} ({tokenizer.eos_token!r}): correct eos_token_id there"
        )
    return Template(tokenizer, kind, frozenset(more))
