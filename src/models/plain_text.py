"""Token ids of texts in which the names of special tokens are text like any other.

A special token has a meaning where a template puts it. Where its name stands in a prompt or a response, a tokenizer
takes it for the token: a label would end twice, a user's turn could forge another turn.
"""

import copy
import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from src.records import Ids
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A text without special tokens, to see what stands around any text.
WORD = "a"
# Most characters of a text that a message shows.
SHOWN = 80


@dataclass(frozen=True)
class PlainText:
    """Encodes texts with a tokenizer that does not know its control tokens by name.

    Texts without such names, nearly all, are encoded by the tokenizer itself, and the others by a copy in which every
    control token has a random name.

    Args:
        tokenizer: the policy's.
        control: the tokens that no text may become.
    """

    tokenizer: "PreTrainedTokenizerBase"
    control: frozenset[int]

    def encode(self, texts: Sequence[str], surrounded: bool = False) -> list[Ids]:
        """Token ids of each text.

        Args:
            texts: to encode.
            surrounded: whether with the tokens that the tokenizer puts around any text.

        Raises:
            RunError: if a text has the name of a control token, and the tokenizer has no other tokens for it.
        """

        def again(text: str) -> tuple[Ids, int]:
            ids, around = self._unaware([text, WORD], surrounded)
            return ids, _count(around, self._forbidden)

        expected = self._around if surrounded else 0
        return self._mended(texts, _called(self.tokenizer, texts, surrounded), expected, again)

    def encode_turns(self, texts: Sequence[str], render: Callable[[str], str]) -> list[Ids]:
        """Token ids of conversations in which only what the chat template writes becomes control tokens.

        Args:
            texts: of the user's turns.
            render: puts a text into the conversation.

        Raises:
            RunError: as `encode`.
        """
        *conversations, empty = _called(self.tokenizer, [render(text) for text in (*texts, WORD)])
        return self._mended(
            texts, conversations, _count(empty, self.control), lambda text: self._conversation(text, render)
        )

    def _mended(
        self, texts: Sequence[str], encoded: list[Ids], expected: int, again: Callable[[str], tuple[Ids, int]]
    ) -> list[Ids]:
        """The token ids, encoded again where they do not have the expected number of control tokens.

        Args:
            again: encodes a text whose names of control tokens are text; gives the number of control tokens around it.
        """
        mended = []
        for text, ids in zip(texts, encoded, strict=True):
            if _count(ids, self.control) != expected or any(name in text for name in self._searched):
                ids, around = again(text)
                if _count(ids, self._forbidden) != around:
                    raise self._refusal(text)
            mended.append(ids)
        return mended

    def _conversation(self, text: str, render: Callable[[str], str]) -> tuple[Ids, int]:
        if not self.tokenizer.is_fast:
            raise self._refusal(text)
        whole, around = self.renamed([text], render)
        return self._unaware([whole])[0], around

    def has_name(self, text: str) -> bool:
        """Whether the name of a control token stands in a text."""
        return self._pattern.search(text) is not None

    def renamed(self, texts: Sequence[str], render: Callable[..., str]) -> tuple[str, int]:
        """A conversation for `unaware`: what the chat template writes has the names that control tokens have there.

        Args:
            texts: of the turns.
            render: puts the texts into the conversation.

        Returns:
            The conversation, and the number of control tokens that the template writes.
        """
        # Marks tell the names in the texts from those that the template writes.
        left, right = [mark for mark in map(chr, range(0xE000, 0xF8FF)) if not any(mark in text for text in texts)][:2]
        marked = (self._pattern.sub(lambda found: f"{left}{found[0]}{right}", text) for text in texts)
        around = 0

        def rename(found: re.Match[str]) -> str:
            nonlocal around
            if found[1] is not None:
                return found[1]
            id, name = self._names[found[0]]
            around += id in self._forbidden
            return name

        names = self._pattern.pattern
        whole = re.sub(f"{left}({names}){right}|{names}", rename, render(*marked))
        # A template that takes a text apart leaves single marks.
        return whole.replace(left, "").replace(right, ""), around

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, sorted(self._names, key=len, reverse=True))))

    def _unaware(self, texts: Sequence[str], surrounded: bool = False) -> list[Ids]:
        """Token ids of each text, by a tokenizer that does not know the names of control tokens."""
        if self.tokenizer.is_fast:
            return _called(self.unaware, texts, surrounded)
        try:
            return _called(self.tokenizer, texts, surrounded, split_special_tokens=True)
        except ValueError:  # Mistral's own tokenizers never take a name for a token
            return _called(self.tokenizer, texts, surrounded)

    @cached_property
    def _around(self) -> int:
        """Number of control tokens that the tokenizer puts around any text."""
        return _count(_called(self.tokenizer, [WORD], True)[0], self.control)

    @cached_property
    def _forbidden(self) -> frozenset[int]:
        unknown, end = self.tokenizer.unk_token_id, self.tokenizer.eos_token_id
        return self.control - {unknown} if unknown != end else self.control

    @cached_property
    def _searched(self) -> list[str]:
        """Names to look for in every text, as the number of control tokens does not tell."""
        # The unknown token also stands for characters that the tokenizer lacks; tokenizers written in Python may take
        # an end token in the text for the one that they would add.
        unknown = self.tokenizer.unk_token
        return list(self._names) if not self.tokenizer.is_fast else [] if unknown is None else [str(unknown)]

    @cached_property
    def _names(self) -> dict[str, tuple[int, str]]:
        """The name of every control token, its id, and its random name in the copy."""
        key = secrets.token_hex(8)
        names = self.tokenizer.convert_ids_to_tokens(sorted(self.control))
        return {name: (id, f"\uf8ff{key}.{id}\uf8ff") for id, name in zip(sorted(self.control), names, strict=True)}

    @cached_property
    def unaware(self) -> "PreTrainedTokenizerBase":
        """A fast tokenizer with random names of the control tokens, in the vocabulary of its model too.

        Raises:
            RunError: if the tokenizer cannot be copied so.
        """
        from tokenizers import Tokenizer

        content = json.loads(self.tokenizer.backend_tokenizer.to_str())
        new = {id: name for id, name in self._names.values()}
        for token in content["added_tokens"]:
            if token["id"] in new:
                token |= {"content": new[token["id"]], "normalized": False}
        _rename(content["model"], new)
        renamed = copy.copy(self.tokenizer)
        try:
            renamed._tokenizer = Tokenizer.from_str(json.dumps(content))
            same = all(renamed._tokenizer.token_to_id(name) == id for id, name in new.items())
        except Exception as error:  # tokenizers raises nothing more precise
            raise self._refusal("", str(error)) from error
        if not same or renamed._tokenizer.get_vocab_size() != self.tokenizer.backend_tokenizer.get_vocab_size():
            raise self._refusal("")
        return renamed

    def _refusal(self, text: str, reason: str = "") -> RunError:
        shown = repr(text[:SHOWN] + "…" * (len(text) > SHOWN)) if text else "a text"
        return RunError(
            f"{shown} has the name of a special token, and the tokenizer of {self.tokenizer.name_or_path} cannot "
            f"encode it as text{f' ({reason})' if reason else ''}; take the names of its special tokens "
            f"({', '.join(map(repr, list(self._names)[:8]))}) out of the data"
        )


def special_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """The special tokens of a tokenizer."""
    return frozenset(
        {*tokenizer.all_special_ids, *(id for id, token in added_tokens(tokenizer).items() if token.special)}
    )


def added_tokens(tokenizer: "PreTrainedTokenizerBase") -> Mapping[int, Any]:
    """The tokens that were added to a tokenizer's vocabulary, by id; Mistral's own tokenizers do not tell them."""
    try:
        return tokenizer.added_tokens_decoder
    except NotImplementedError:
        return {}


def _called(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], surrounded: bool = False, **options: bool
) -> list[Ids]:
    if not texts:
        return []
    return [tuple(ids) for ids in tokenizer(list(texts), add_special_tokens=surrounded, **options).input_ids]


def _count(ids: Ids, tokens: Collection[int]) -> int:
    """How many of the ids are one of the tokens."""
    return sum(map(tokens.__contains__, ids))


def _rename(model: dict[str, Any], new: dict[int, str]) -> None:
    """Renames tokens in the content of tokenizer.json's `model`, and takes out merges that would make them."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: the place is the id
        for id in new.keys() & set(range(len(vocabulary))):
            vocabulary[id][0] = new[id]
        return
    old = {name: new[id] for name, id in vocabulary.items() if id in new}
    model["vocab"] = {old.get(name, name): id for name, id in vocabulary.items()}
    if model.get("unk_token") in old:
        model["unk_token"] = old[model["unk_token"]]
    if "merges" in model:
        parts = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [pair for pair in parts if not old.keys() & {*pair, "".join(pair)}]
