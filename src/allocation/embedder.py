"""Embeddings of prompts and responses: by the behavior policy, a sentence-embedding model, or word counts."""

from collections.abc import Sequence

import numpy as np

from src.allocation.base import Offer
from src.allocation.breadth import tfidf_embeddings
from src.models.sentence_encoder import encoder_problems, load_encoder
from src.records import Prompt, Response

EMBEDDERS = ("policy", "embedding", "tfidf")


def embed_prompts(offer: Offer, prompts: Sequence[Prompt], embedder: str, path: str | None) -> np.ndarray:
    """One embedding a prompt.

    Args:
        offer: of the round; gives the behavior policy's hidden states.
        prompts: n prompts.
        embedder: "policy" (the behavior policy's mean last hidden state), "embedding" (a sentence-embedding model) or
            "tfidf" (weighted word counts).
        path: of the sentence-embedding model.

    Returns:
        The embeddings, (n, d).
    """
    if embedder == "policy":
        return offer.states([prompt.ids for prompt in prompts], [0] * len(prompts))
    return _text_embeddings([prompt.row.prompt for prompt in prompts], embedder, path)


def embed_responses(
    offer: Offer, prompts: Sequence[Prompt], responses: Sequence[Sequence[Response]], embedder: str, path: str | None
) -> list[np.ndarray]:
    """The embeddings of each prompt's k responses: of the text alone or, with "policy", given the prompt.

    Args: as in `embed_prompts`.

    Returns:
        (k, d) for each prompt.
    """
    pairs = [(prompt, response) for prompt, group in zip(prompts, responses, strict=True) for response in group]
    if embedder == "policy":
        embeddings = offer.states([(*p.ids, *r.ids) for p, r in pairs], [len(p.ids) for p, _ in pairs])
    else:
        embeddings = _text_embeddings([response.text for _, response in pairs], embedder, path)
    return np.split(embeddings, np.cumsum([len(group) for group in responses])[:-1])


def embedder_problems(embedder: str, path: str | None) -> list[str]:
    """Why an embedder cannot be used, embeddings without loading a model."""
    if embedder != "embedding":
        return []
    if path is None:
        return ["embedder=embedding needs a model of sentence embeddings: give allocation.embedder_path=DIR"]
    return encoder_problems("embedder_path", path)


def _text_embeddings(texts: list[str], embedder: str, path: str | None) -> np.ndarray:
    if embedder == "tfidf":
        return tfidf_embeddings(texts)
    if path is None:
        raise ValueError("embedder=embedding without a path")
    encoder = load_encoder(path, "allocation.embedder_path=DIR")
    return np.asarray(encoder.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False))
