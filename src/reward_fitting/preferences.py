"""Labelled comparisons as a reward model learns from them: sampled and annotated here, the data's own, or of runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from scipy.special import expit

from src.allocation.base import Allocation
from src.collection.base import Collector
from src.collection.dataset_pairs import DatasetCollector, given
from src.collection.policy_offer import PolicyOffer
from src.collection.round_report import RoundReport
from src.data.prompt_stream import PromptStream
from src.data.splits import Splits
from src.inference.scorer import Scorer
from src.models.policy import Policy
from src.oracles.base import Comparer
from src.records import Comparison, Prompt, Tally
from src.run_folder.round_files import read_pairs, round_files
from src.runtime.errors import RunError
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, stream_seed, torch_stream


@dataclass(frozen=True)
class Preference:
    """Two responses to a prompt, one of them preferred.

    Attributes:
        texts: both responses, in the order in which they were sampled.
        chosen: index of the preferred one.
        scores: what the annotator thought of both; None if that is not known.
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
        """P(the label names the response with the higher score): as often as this the best possible scorer agrees.

        None where the scores are not known.
        """
        if self.scores is None:
            return None
        gap = abs(self.scores[0] - self.scores[1])
        likelier = 1.0 if self.temperature == 0 else float(expit(gap / self.temperature))
        return likelier * (1 - self.flip) + (1 - likelier) * self.flip


def sample_preferences(
    policy: Policy,
    prompts: list[Prompt],
    allocation: Allocation,
    collector: Collector,
    oracle: Comparer,
    scorer: Scorer,
    count: int,
    seed: int,
    report: Report,
) -> tuple[list[Preference], int]:
    """Pairs of the policy's own responses, labelled by the oracle, and the number of ties among them (left out).

    Args:
        count: pairs to annotate, ties included.
        seed: the run's; its training pairs come from other streams.
    """
    with report.stage(f"collecting {count} pairs", count) as tick:
        offer = PolicyOffer(
            stream=PromptStream(prompts, stream_seed(seed, "reward")),
            budget=count,
            seed=stream_seed(seed, "reward", "allocate"),
            policy=policy,
            behavior=policy.mean(),
            collector=collector,
            oracle=oracle,
            scorer=scorer,
            generator=torch_stream(seed, "reward", "collect", device=policy.device),
            labels=numpy_stream(seed, "reward", "annotate"),
            report=RoundReport(report),
            length_normalize=False,  # a reward model's loss has no log-probs
            tick=tick,
        )
        allocated = allocation.allocate(offer)
    return _without_ties(allocated.comparisons, oracle.oracle.temperature, oracle.oracle.flip)


def given_preferences(prompts: list[Prompt], collector: DatasetCollector, count: int, seed: int) -> list[Preference]:
    """The data's own pairs, each once and at most `count` of them, in a shuffled order."""
    order = PromptStream(prompts, stream_seed(seed, "reward")).take(len(prompts))
    candidates = [one for one in map(collector.candidate, order) if one is not None][:count]
    return _without_ties(given(candidates, Tally()), temperature=0.0, flip=0.0)[0]


def run_preferences(folders: Sequence[Path]) -> tuple[list[Preference], int]:
    """The labelled pairs of finished or unfinished runs, and the number of ties among them (left out).

    Two responses to a prompt count once, as they were labelled first: runs on the data's own pairs, or from one SFT
    policy and seed, have many in common.

    Raises:
        RunError: if a file is damaged.
    """
    preferences: list[Preference] = []
    ties = 0
    for folder in folders:
        try:
            oracle = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["oracle"]
            noise = float(oracle.get("temperature", 0.0)), float(oracle.get("flip", 0.0))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            raise RunError(f"{folder}/config.yaml is no run's configuration: it names no oracle") from error
        found, without = _without_ties(read_pairs(folder / "pairs"), *noise)
        preferences += found
        ties += without
    first: dict[tuple[str, frozenset[str]], Preference] = {}
    for one in preferences:
        first.setdefault((one.prompt, frozenset(one.texts)), one)
    return list(first.values()), ties


def run_problems(folders: Sequence[Path]) -> list[str]:
    """Why pairs cannot be read from these folders, a line each."""
    return [
        f"pairs={folder}: no pairs of a run there (expected a run's folder, with config.yaml and pairs/round_*.jsonl)"
        for folder in folders
        if not (folder / "config.yaml").is_file() or not round_files(folder / "pairs")
    ]


def _without_ties(comparisons: list[Comparison], temperature: float, flip: float) -> tuple[list[Preference], int]:
    preferences = [
        Preference(
            prompt=one.prompt.row.prompt,
            texts=(one.responses[0].text, one.responses[1].text),
            chosen=one.chosen,
            scores=one.scores,
            temperature=temperature,
            flip=flip,
        )
        for one in comparisons
        if one.chosen is not None
    ]
    return preferences, len(comparisons) - len(preferences)


def in_drawn_order(preferences: Sequence[Preference], seed: int) -> list[Preference]:
    """The same, with the two texts of each in a drawn order.

    In pairs that came with data the chosen one is always the first, and "the first" would seem a calibrated answer.
    """
    turned = numpy_stream(seed, "reward", "order").random(len(preferences)) < 0.5
    return [
        replace(
            one,
            texts=(one.texts[1], one.texts[0]),
            chosen=1 - one.chosen,
            scores=None if one.scores is None else (one.scores[1], one.scores[0]),
        )
        if turn
        else one
        for one, turn in zip(preferences, turned, strict=True)
    ]


def split_by_prompt(
    preferences: list[Preference], share: float, seed: int
) -> tuple[list[Preference], list[Preference]]:
    """Training and held-out preferences; no prompt has some in both.

    Args:
        share: of the prompts that are held out, at least one.

    Raises:
        RunError: if there are fewer than two prompts.
    """
    prompts = list(dict.fromkeys(one.prompt for one in preferences))
    if len(prompts) < 2:
        raise RunError(
            f"{len(preferences)} labelled pairs of {len(prompts)} prompts (ties are left out): expected pairs of two "
            "prompts or more, one to train on and one to hold out"
        )
    order = numpy_stream(seed, "reward", "split").permutation(len(prompts))
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    held_out = {prompts[index] for index in order[:count]}
    return (
        [one for one in preferences if one.prompt not in held_out],
        [one for one in preferences if one.prompt in held_out],
    )


def gold_scorer(splits: Splits) -> Callable[[Preference], tuple[float, float] | None]:
    """A function that gives both texts' gold scores, or None where the prompt is not of these (embedded) data."""
    world = splits.world
    facts = {row.prompt: row.facts for rows in splits.named().values() for row in rows}

    def scores(preference: Preference) -> tuple[float, float] | None:
        known = facts.get(preference.prompt)
        if world is None or known is None:
            return None
        first, second = (world.gold_score(known, text) for text in preference.texts)
        return first, second

    return scores
