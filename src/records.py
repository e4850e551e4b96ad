"""What passes from stage to stage: Prompt -> Candidate -> Comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One line of a split: a prompt, the human text (`label`) and, in generated data, the hidden facts.

    Attributes:
        chosen, rejected: a preferred response and another one, where the data has such pairs.
    """

    prompt: str
    label: str
    facts: Mapping[str, str] | None = None
    chosen: str | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class Prompt:
    """A row with its token ids.

    Attributes:
        id: place in its split, from 0.
        ids: prompt tokens, at least one.
        label_ids: label tokens, with the end-of-sequence token.
        pair_ids: tokens of the row's chosen and rejected response, made like the label's; None if it has none.
    """

    id: int
    row: Row
    ids: Ids
    label_ids: Ids
    pair_ids: tuple[Ids, Ids] | None = None


@dataclass(frozen=True)
class Response:
    """A sampled response.

    Attributes:
        ids: the sampled tokens themselves; the end token is there only if it was sampled.
        logp: their summed log-probability under the policy that sampled them, untempered, nats; None where it was not
            asked for.
    """

    ids: Ids
    text: str
    logp: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Candidate:
    """Two different responses to one prompt, not yet annotated.

    Attributes:
        chosen: index of the preferred one where the data says so; None where an oracle is to be asked.
    """

    prompt: Prompt
    responses: tuple[Response, Response]
    chosen: int | None = None


@dataclass(frozen=True)
class Comparison:
    """An annotated candidate.

    Attributes:
        scores: the oracle's scores of both responses; None from one that only compares, or where the data have the pair
        chosen: index of the preferred response, or None for a tie or an unusable answer (asked about, but no pair).
        logps: "behavior", "reference", "sft" -> summed log-probability of both responses under that policy, nats.
    """

    prompt: Prompt
    responses: tuple[Response, Response]
    scores: tuple[float, float] | None
    chosen: int | None
    logps: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class Tally:
    """What a round, or a run so far, has spent; a run's tally stands in every result row.

    Attributes:
        annotated_pairs: pairs that the oracle was asked about, ties and unusable answers included.
        generated_responses: responses sampled for training pairs.
        resampled: prompts sampled again because their responses were identical, once for every time.
        passed_over: prompts left without two different responses.
        oracle_ties: annotated pairs without a preference.
        oracle_invalid: annotated pairs whose answer could not be used.
        empty_pairs: annotated pairs in which a response has no text.
        fallback_rounds: rounds that were made uniformly instead of by the run's allocation.
    """

    annotated_pairs: int = 0
    generated_responses: int = 0
    resampled: int = 0
    passed_over: int = 0
    oracle_ties: int = 0
    oracle_invalid: int = 0
    empty_pairs: int = 0
    fallback_rounds: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{name: count + getattr(other, name) for name, count in vars(self).items()})
