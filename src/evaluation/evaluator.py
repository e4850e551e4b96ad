"""Evaluation: how often a policy's response beats the human text, and the KL from the SFT policy that it took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from src.evaluation.judged import judged
from src.evaluation.kept_responses import KeptResponses
from src.inference.kept_batches import KeptBatches
from src.inference.lm_head import kl_divergence
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, ignore
from src.inference.uniforms import PromptKeys, response_keys
from src.models.policy import Policy, Weights
from src.models.sharding import idle
from src.models.template import Template
from src.oracles.comparer import Comparer
from src.records import Ids, Prompt
from src.runtime import processes, signals
from src.runtime.memory import naming
from src.runtime.seeding import stream_seed


@dataclass
class Evaluator:
    """Win rate of a policy against the labels of a split.

    The random numbers of a response come from the run's seed, the split, the prompt and the number of the response:
    two policies that answer a prompt share them.

    Args:
        policy: the model that weights are put into.
        sampler: draws the responses.
        template: says where responses end, and gives their text.
        scorer: computes the hidden states for the KL.
        judge: compares responses with labels.
        prompts: split -> prompts.
        seed: the run's.
        kl_prompts: the KL is that of the first response to each of so many prompts; None: of all.
        kept: the cache of the SFT policy's responses; None: there is none.
        proxy: the run's oracle, if it scores texts and is not the judge; its mean score is a figure.
    """

    policy: Policy
    sampler: Sampler
    template: Template
    scorer: Scorer
    judge: Comparer
    prompts: dict[str, list[Prompt]]
    seed: int
    kl_prompts: int | None
    kept: KeptResponses | None = None
    proxy: Comparer | None = None

    def evaluate(
        self,
        weights: Weights,
        sft: Weights,
        split: str,
        first: int | None = None,
        samples: int = 1,
        tick: Callable[[int], None] = ignore,
        batches: KeptBatches | None = None,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Samples, judges, and computes the KL.

        Args:
            weights: of the evaluated policy.
            sft: weights of the SFT policy.
            split: whose prompts are answered.
            first: number of prompts, from the start of the split; None for all.
            samples: responses a prompt.
            tick: hears of the number of prompts answered.
            batches: what an earlier attempt sampled for this evaluation; finished batches are added.

        Returns:
            The figures of the result row, and a row of samples.jsonl for each response.
        """
        prompts = self.prompts[split][:first]
        if weights is sft and self.kept is not None:
            key = {
                "seed": self.seed,
                "split": split,
                "samples": samples,
                "prompts": [prompt.ids for prompt in prompts],
                "end_ids": sorted(self.template.end_ids),
                "temperature": self.sampler.temperature,
                "max_new_tokens": self.sampler.max_new_tokens,
            }
            groups = self.kept.get(key, lambda: self.respond(weights, split, first, samples, tick, batches))
        else:
            groups = self.respond(weights, split, first, samples, tick, batches)
        asked = [prompt for prompt in prompts for _ in range(samples)]
        responses = [ids for group in groups for ids in group]
        texts = [self.template.text(ids) for ids in responses]
        tokens = np.array([len(ids) for ids in responses])
        label_tokens = np.array([len(prompt.label_ids) for prompt in asked])
        figures, columns = judged(self.judge, asked, texts, [p.row.label for p in asked], tokens, label_tokens)
        some = slice(self.kl_prompts)
        proxy_scores = self._proxy_scores(asked, texts)
        figures |= {
            "samples": samples,
            "response_tokens_mean": float(tokens.mean()),
            "label_tokens_mean": float(label_tokens.mean()),
            "kl_sft": 0.0 if weights is sft else self._kl(weights, sft, prompts[some], [g[0] for g in groups[some]]),
            "proxy_score_mean": None if proxy_scores is None else float(proxy_scores.mean()),
        }
        rows = [
            {
                "prompt_id": prompt.id,
                "sample": index % samples,
                "prompt": prompt.row.prompt,
                "response": text,
                "label": prompt.row.label,
                "response_tokens": len(ids),
                "label_tokens": len(prompt.label_ids),
                **verdict,
                "proxy_score": None if proxy_scores is None else float(proxy_scores[index]),
            }
            for index, (prompt, ids, text, verdict) in enumerate(zip(asked, responses, texts, columns, strict=True))
        ]
        return figures, rows

    def respond(
        self,
        weights: Weights,
        split: str,
        first: int | None = None,
        samples: int = 1,
        tick: Callable[[int], None] = ignore,
        batches: KeptBatches | None = None,
    ) -> list[list[Ids]]:
        """Responses to each of the first prompts of a split, as token ids; arguments as in `evaluate`."""
        prompts = [p.ids for p in self.prompts[split][:first]]
        keys = response_keys(PromptKeys(stream_seed(self.seed, "evaluate", split)).take(len(prompts)), 0, samples)
        with self.policy.using(weights) as model:
            sampler = replace(self.sampler, kept=batches)
            return sampler.sample(model, prompts, keys, self.template.end_ids, tick)

    def _proxy_scores(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> np.ndarray | None:
        # Without the scores of the previous evaluation, which a resumed run lacks: a network's scores depend on the
        # batch in their last digits.
        return None if self.proxy is None else replace(self.proxy).scores(prompts, texts)

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
