"""Tokens of a tokenizer that its model has no embedding for."""

from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from src.runtime.errors import RunError


def require_embeddings(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, path: str, produced: Iterable[int]
) -> None:
    """Refuses a tokenizer that can give the model tokens beyond its embeddings.

    Special tokens that no text and no template contains, such as a padding token that was added later, are left alone.

    Args:
        tokenizer, model: of one folder.
        path: the folder or hub name.
        produced: tokens that the tokenizer and its template put around texts, and those that end a response.

    Raises:
        RunError: with some of the tokens, and what to do.
    """
    embeddings: Any = model.get_input_embeddings()
    rows = embeddings.weight.shape[0]
    special = {*tokenizer.all_special_ids}
    special |= {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    harmless = special - set(produced)
    beyond = {id: token for token, id in tokenizer.get_vocab().items() if id >= rows and id not in harmless}
    if beyond:
        some = ", ".join(f"{beyond[id]!r} ({id})" for id in sorted(beyond)[:3])
        raise RunError(
            f"the tokenizer of {path} has {len(beyond)} tokens beyond the {rows} embeddings of its model: {some}; "
            "expected an embedding for every token: call model.resize_token_embeddings(len(tokenizer)) and save both, "
            "or take the tokenizer that the model came with"
        )
