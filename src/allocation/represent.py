"""What tells the responses to a prompt apart: the vectors whose differences are the directions of pairs."""

from collections.abc import Sequence

import numpy as np

from src.allocation.base import Offer
from src.allocation.embedder import embed_responses
from src.allocation.pool import Represent
from src.records import Prompt, Response


def by_gradient(offer: Offer, size: int) -> Represent:
    """By where each would move the policy: the gradients of their log-probs, sketched in `size` numbers.

    The gradient of DPO, IPO and SLiC (inside its margin) at a pair is a multiple of the difference of the two (each
    divided by its tokens where the loss does so), and the label sets nothing but its sign; so a pair's direction is
    known before its label.
    """

    def represent(prompts: Sequence[Prompt], responses: Sequence[Sequence[Response]]) -> list[np.ndarray]:
        ids = [[response.ids for response in group] for group in responses]
        return offer.gradients([prompt.ids for prompt in prompts], ids, size)

    return represent


def by_embedding(offer: Offer, embedder: str, path: str | None) -> Represent:
    """By what they say: their embeddings (`src.allocation.embedder`)."""

    def represent(prompts: Sequence[Prompt], responses: Sequence[Sequence[Response]]) -> list[np.ndarray]:
        return embed_responses(offer, prompts, responses, embedder, path)

    return represent
