"""Evaluation: how often a policy's response beats the human text, and the KL from the SFT policy that it took."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from src.evaluation.win_rate import distinct, unique_rate, win_figures
from src.inference.lm_head import kl_divergence
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, ignore
from src.models.policy import Policy, Weights
from src.models.sharding import idle
from src.models.template import Template
from src.oracles.comparer import Comparer
from src.records import Ids, Prompt
from src.runtime import processes, signals
from src.runtime.memory import naming
from src.runtime.seeding import torch_stream


@dataclass
class Evaluator:
    """Win rate of a policy against the labels of a split.

    All evaluations of a split draw from one random stream, begun anew for each of them.

    Args:
        policy: the model that weights are put into.
        sampler: draws one response a prompt.
        template: says where responses end, and gives their text.
        scorer: computes the hidden states for the KL.
        judge: compares responses with labels.
        prompts: split -> prompts.
        seed: the run's.
        proxy: the run's oracle, if it scores texts and is not the judge; its mean score is a figure.
    """

    policy: Policy
    sampler: Sampler
    template: Template
    scorer: Scorer
    judge: Comparer
    prompts: dict[str, list[Prompt]]
    seed: int
    proxy: Comparer | None = None

    def evaluate(
        self,
        weights: Weights,
        sft: Weights,
        split: str,
        first: int | None = None,
        tick: Callable[[int], None] = ignore,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Samples, judges, and computes the KL.

        Args:
            weights: of the evaluated policy.
            sft: weights of the SFT policy.
            split: whose prompts are answered.
            first: number of prompts, from the start of the split; None for all.
            tick: hears of the number of prompts answered.

        Returns:
            The figures of the result row, and for each prompt a row of samples.jsonl.
        """
        prompts = self.prompts[split][:first]
        responses, texts = self.respond(weights, split, first, tick)
        labels = [p.row.label for p in prompts]
        tokens = np.array([len(ids) for ids in responses])
        label_tokens = np.array([len(p.label_ids) for p in prompts])
        figures, judged = compared(self.judge, prompts, texts, labels, tokens, label_tokens)
        figures |= {
            "response_tokens_mean": float(tokens.mean()),
            "label_tokens_mean": float(label_tokens.mean()),
            "kl_sft": 0.0 if weights is sft else self._kl(weights, sft, prompts, responses),
            "proxy_score_mean": self._proxy_score_mean(prompts, texts),
        }
        samples = [
            {
                "prompt_id": p.id,
                "prompt": p.row.prompt,
                "response": text,
                "label": p.row.label,
                "response_tokens": len(ids),
                "label_tokens": len(p.label_ids),
                **verdict,
            }
            for p, ids, text, verdict in zip(prompts, responses, texts, judged, strict=True)
        ]
        return figures, samples

    def respond(
        self, weights: Weights, split: str, first: int | None = None, tick: Callable[[int], None] = ignore
    ) -> tuple[list[Ids], list[str]]:
        """One response to each of the first prompts of a split: token ids as sampled, and texts."""
        generator = torch_stream(self.seed, "evaluate", split, device=self.policy.device)
        with self.policy.using(weights) as model:
            prompts = [p.ids for p in self.prompts[split][:first]]
            drawn = self.sampler.sample(model, prompts, 1, self.template.end_ids, generator, tick)
        responses = [ids[0] for ids in drawn]
        return responses, [self.template.text(ids) for ids in responses]

    def _proxy_score_mean(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> float | None:
        # Without the scores of the previous evaluation, which a resumed run lacks: a network's scores depend on the
        # batch in their last digits.
        return None if self.proxy is None else float(replace(self.proxy).scores(prompts, texts).mean())

    def _kl(self, weights: Weights, sft: Weights, prompts: list[Prompt], responses: list[Ids]) -> float:
        """KL(policy || SFT), nats a response: the exact KL of the next-token distributions, summed over the tokens of
        a response. Unbiased for responses sampled at temperature 1; for greedy responses, the KL along the greedy path.
        """
        rows, given = [prompt.ids for prompt in prompts], [(response,) for response in responses]
        lengths = [len(row) + len(response) for row, (response,) in zip(rows, given, strict=True)]
        local = processes.local_indices(lengths)
        rows, given = [rows[i] for i in local], [given[i] for i in local]
        total = 0.0

        def idle_twice() -> None:
            """Takes part in another process's batch: with FSDP2 every forward pass needs all processes."""
            for either in (weights, sft):
                with self.policy.using(either) as model:
                    idle(model)

        for batch in signals.interruptible(self.scorer.batches(rows, given), idle_twice):
            asked = [rows[i] for i in batch], [given[i] for i in batch]
            with naming("model.tokens", self.scorer.tokens):
                with self.policy.using(weights) as model:
                    ours = self.scorer.states(model, *asked)
                with self.policy.using(sft) as model:
                    theirs = self.scorer.states(model, *asked)
                total += kl_divergence(ours, theirs).sum().item()
        return sum(processes.all_gather(total)) / len(prompts)


def compared(
    judge: Comparer,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    others: Sequence[str],
    lengths: np.ndarray,
    other_lengths: np.ndarray,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Judges texts against other texts (the labels, or another system's responses), one of each for every prompt.

    Args:
        lengths, other_lengths: of the texts and the other texts, in tokens or words, for the length-controlled win
            rate; (N,).

    Returns:
        The figures of the result row, and for every prompt the columns of samples.jsonl: both scores (None from a judge
        that only compares) and the outcome (None without a usable answer).
    """
    verdicts = judge.verdicts(prompts, texts, others)
    results = verdicts.outcomes()
    figures = win_figures(results, lengths, other_lengths) | {
        "judge_score_mean": None if verdicts.scores is None else float(verdicts.scores[:, 0].mean()),
        "distinct_3": distinct(texts),
        "unique_rate": unique_rate(texts),
    }
    scores = [(None, None)] * len(texts) if verdicts.scores is None else verdicts.scores.tolist()
    rows = [
        {"response_score": score, "label_score": other, "outcome": None if math.isnan(result) else result}
        for (score, other), result in zip(scores, results.tolist(), strict=True)
    ]
    return figures, rows
