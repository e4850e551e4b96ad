"""Vectors of responses; the difference of two is the direction of a pair."""

from collections.abc import Sequence

import numpy as np

from src.allocation.base import Offer
from src.allocation.embedder import embed_responses
from src.allocation.pool import Represent
from src.records import Prompt, Response


def by_gradient(offer: Offer, size: int) -> Represent:
    """Represents a response by the gradient of its log-prob, sketched in `size` numbers.

    The gradient of DPO, IPO and SLiC (inside its margin) at a pair is a multiple of the difference of the two gradients
    (each divided by its response's tokens where the loss does so). The label decides the sign alone, so the direction
    of a pair is known before annotation.
    """

    def represent(prompts: Sequence[Prompt], responses: Sequence[Sequence[Response]]) -> list[np.ndarray]:
        ids = [[response.ids for response in group] for group in responses]
        return offer.gradients([prompt.ids for prompt in prompts], ids, size)

    return represent


def by_embedding(offer: Offer, embedder: str, path: str | None) -> Represent:
    """Represents a response by its embedding (`src.allocation.embedder`)."""

    def represent(prompts: Sequence[Prompt], responses: Sequence[Sequence[Response]]) -> list[np.ndarray]:
        return embed_responses(offer, prompts, responses, embedder, path)

    return represent
