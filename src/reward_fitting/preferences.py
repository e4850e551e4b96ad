"""Labelled pairs as a reward model learns from them, and their split into training and held-out pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import expit

from src.records import Comparison
from src.runtime.errors import RunError
from src.runtime.seeding import numpy_stream


@dataclass(frozen=True)
class Preference:
    """Two responses to a prompt, one of them preferred.

    Attributes:
        texts: both responses, in the order in which they were sampled.
        chosen: index of the preferred response.
        scores: the annotator's scores of both responses; None if they are not known.
        temperature, flip: noise of the annotator's label.
    """

    prompt: str
    texts: tuple[str, str]
    chosen: int
    scores: tuple[float, float] | None
    temperature: float
    flip: float

    @property
    def clearness(self) -> float | None:
        """Probability that the noisy label names the response with the higher score; None without scores.

        The mean over pairs is the ceiling on any scorer's accuracy against the labels.
        """
        if self.scores is None:
            return None
        gap = abs(self.scores[0] - self.scores[1])
        likelier = 1.0 if self.temperature == 0 else float(expit(gap / self.temperature))
        return likelier * (1 - self.flip) + (1 - likelier) * self.flip


def without_ties(comparisons: list[Comparison], temperature: float, flip: float) -> tuple[list[Preference], int]:
    """The comparisons that have a preferred response.

    Args:
        temperature, flip: noise of the annotator's labels.

    Returns:
        The preferences, and the number of ties left out.
    """
    preferences = [
        Preference(
            prompt=comparison.prompt.row.prompt,
            texts=(comparison.responses[0].text, comparison.responses[1].text),
            chosen=comparison.chosen,
            scores=comparison.scores,
            temperature=temperature,
            flip=flip,
        )
        for comparison in comparisons
        if comparison.chosen is not None
    ]
    return preferences, len(comparisons) - len(preferences)


def in_drawn_order(preferences: Sequence[Preference], seed: int) -> list[Preference]:
    """The same preferences, with the two texts of each in a random order.

    In pairs that came with the data the chosen response is always the first. Without this, the prediction "the first is
    chosen" would look calibrated.
    """
    turned = numpy_stream(seed, "reward", "order").random(len(preferences)) < 0.5
    return [_turned(each) if turn else each for each, turn in zip(preferences, turned, strict=True)]


def _turned(preference: Preference) -> Preference:
    first, second = preference.texts
    scores = None if preference.scores is None else (preference.scores[1], preference.scores[0])
    return replace(preference, texts=(second, first), chosen=1 - preference.chosen, scores=scores)


def split_by_prompt(
    preferences: list[Preference], share: float, seed: int
) -> tuple[list[Preference], list[Preference]]:
    """Splits preferences into training and held-out ones, so that no prompt has pairs in both.

    Args:
        share: of the prompts to hold out; at least one prompt is held out, and one is not.

    Returns:
        Training and held-out preferences.

    Raises:
        RunError: if there are fewer than two prompts.
    """
    prompts = list(dict.fromkeys(preference.prompt for preference in preferences))
    if len(prompts) < 2:
        raise RunError(
            f"{len(preferences)} labelled pairs of {len(prompts)} prompts (ties are left out): expected pairs of two "
            "prompts or more, one to train on and one to hold out"
        )
    order = numpy_stream(seed, "reward", "split").permutation(len(prompts))
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    held_out = {prompts[index] for index in order[:count]}
    return (
        [preference for preference in preferences if preference.prompt not in held_out],
        [preference for preference in preferences if preference.prompt in held_out],
    )
