"""Sampling at vLLM servers, which have the behavior policy from a handover.

Prompts go to /v1/completions as token ids, and token ids come back (`return_token_ids`); no text is read.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, float32
from transformers import PreTrainedModel

from src.inference.kept_batches import KeptBatches
from src.inference.sampler import Sampler
from src.inference.scorer import ignore
from src.inference.uniforms import PromptKeys, response_keys
from src.records import Ids
from src.runtime import processes, signals
from src.samplers.adapter_handover import AdapterHandover
from src.samplers.agreement import Agreement
from src.samplers.base import SamplerSite
from src.samplers.completions import SamplingRequest, read_completion
from src.samplers.dispatch import answers_of
from src.samplers.handover import Handover
from src.samplers.servers import Forgotten, Servers
from src.samplers.weights_handover import WeightsHandover

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from src.samplers.vllm import VllmSpec

# Seconds that a server has to unload an adapter, and after a signal; nothing depends on it.
GOOD_BYE, IN_A_HURRY = 5.0, 0.3
# vLLM numbers the seeds of the n responses to a prompt from the request's seed on, within 63 bits.
SEEDS = 2**62
# Prompts a server, whose responses are compared with the scorer before all others are asked for.
FIRST = 4

Group = list[tuple[Ids, float]]


@dataclass
class ServedSampler:
    """Samples from the mean of a policy's members at servers, as `src.inference.sampler.Sampler` does in this process.

    The seed of a request comes from the random stream of the round, prompt by prompt, so it does not depend on which
    server answers. The same seed need not give the same response: vLLM's also depends on the rest of the batch.

    Args:
        spec: of the servers.
        settings: temperature, top_k, top_p and max_new_tokens; and what keeps the answers.
        site: whose policy's mean is served at the start of a round.
    """

    spec: "VllmSpec"
    settings: Sampler
    site: SamplerSite
    _servers: Servers = field(init=False, repr=False)
    _handover: Handover = field(init=False, repr=False)
    _agreement: Agreement = field(init=False, repr=False)
    _compared: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        spec, site = self.spec, self.site
        given = spec, site.policy, site.longest, site.folder
        by_adapter = spec.chosen_handover(site.policy) == "adapter"
        self._handover = AdapterHandover(*given) if by_adapter else WeightsHandover(*given)
        patience = spec.concurrency, spec.timeout, spec.retries
        self._servers = Servers(spec.urls, spec.key, *patience, site.warn, self._handover.start())
        exact = next(site.policy.model.parameters()).dtype == float32
        self._agreement = Agreement(exact, spec.warn_above, spec.end_above)
        self._agreement.explained = site.explained

    def trial(self, prompts: Sequence[Ids], end_ids: Set[int]) -> float | None:
        policy, asked = self.site.policy, list(prompts[: self._first])
        keys = response_keys(PromptKeys(0).take(len(asked)), 0, 2)
        with self._served("trial"), policy.using(policy.mean()) as model:
            groups = self._asked(asked, keys, end_ids, ignore, divided=True)
            self._agreement.try_out(self._differences(model, asked, groups), self.site.warn)
        lost, urls, apart = self._servers.lost, self.spec.urls, self._agreement.explained
        self.site.say(
            f"sampler=vllm: {len(urls) - len(lost)} of {len(urls)} servers are ready; {self._handover.said()}"
            + ("" if apart is None else f"; their log-probs are within {apart:.0e} nats a token of those computed here")
        )
        return apart

    def keeping(self, kept: KeptBatches) -> "ServedSampler":
        return replace(self, settings=replace(self.settings, kept=kept))

    @contextmanager
    def serving(self, number: int) -> Iterator[None]:
        """Within it, the servers have the mean that the policy has now.

        Raises:
            RunError: if a server cannot take it, or no server is left.
        """
        with self._served(f"round-{number}"):
            self._compared = False
            yield

    @contextmanager
    def _served(self, label: str) -> Iterator[None]:
        good_bye = GOOD_BYE
        try:
            processes.from_main(lambda: self._hand_over(label))
            yield
        except signals.Stopped:
            good_bye = IN_A_HURRY
            raise
        finally:
            if processes.is_main():
                self._servers.say(self._handover.drop, good_bye)
                self._handover.remove()

    def _hand_over(self, label: str) -> None:
        self._handover.write(label)
        with signals.at_once():
            self._servers.make_ready(self._handover.take)

    def sample_scored(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        keys: Tensor,
        end_ids: Set[int],
        tick: Callable[[int], None] = ignore,
    ) -> list[Group]:
        """As `ResponseSampler.sample_scored`, within `serving`. The model scores the first responses of a round.

        Raises:
            RunError: if a server refuses a request, or all are lost; or if the first responses are another policy's.
        """
        kept = self.settings.kept
        # Each prompt is a batch of its own: answers come one by one.
        groups = [kept.find([ids], keys[i : i + 1]) if kept else None for i, ids in enumerate(prompts)]
        found = {i: kept_group[0] for i, kept_group in enumerate(groups) if kept_group is not None}
        if found:
            tick(len(found))
        missing = [i for i in range(len(prompts)) if i not in found]
        if missing and not self._compared:
            first, missing = missing[: self._first], missing[self._first :]
            asked = [prompts[i] for i in first]
            answers = self._asked(asked, keys[first], end_ids, tick, divided=True)
            self._agreement.judge(self._differences(model, asked, answers), self.site.warn)
            self._compared = True
            for i, (_, group) in zip(first, answers, strict=True):
                found[i] = group
                if kept:
                    kept.add([prompts[i]], keys[i : i + 1], [group])
        answers = self._asked([prompts[i] for i in missing], keys[missing], end_ids, tick, kept=kept)
        found |= {i: group for i, (_, group) in zip(missing, answers, strict=True)}
        return [found[i] for i in range(len(prompts))]

    def _asked(
        self,
        prompts: Sequence[Ids],
        keys: Tensor,
        end_ids: Set[int],
        tick: Callable[[int], None],
        divided: bool = False,
        kept: KeptBatches | None = None,
    ) -> list[tuple[str, Group]]:
        """The servers' responses, each with the address of the server that sampled them."""
        # One request asks for the k responses to a prompt, with one seed.
        seeds = (keys[:, 0] % SEEDS).tolist()

        async def ask(client: "AsyncOpenAI", index: int) -> tuple[str, Group]:
            request = SamplingRequest(prompts[index], keys.shape[1], seeds[index])
            before = await self._handover.state(client)
            raw = await client.completions.with_raw_response.create(**self._body(request, end_ids))
            answer = read_completion(raw.http_response.text, request, end_ids, self.settings.max_new_tokens)
            if await self._handover.state(client) != before:
                raise Forgotten("it was given its weights anew while it answered", again=True)
            if kept:
                kept.add([prompts[index]], keys[index : index + 1], [answer])
            return str(client.base_url).rstrip("/"), answer

        def answers() -> list[tuple[str, Group]]:
            with signals.at_once():
                return answers_of(self._servers, range(len(prompts)), ask, self._handover.take, tick, divided)

        return processes.from_main(answers)

    def _differences(
        self, model: PreTrainedModel, prompts: Sequence[Ids], answers: Sequence[tuple[str, Group]]
    ) -> dict[str, float]:
        """Mean absolute difference between each server's log-probs and the scorer's, in nats a token."""
        responses = [[ids for ids, _ in group] for _, group in answers]
        scored = self.site.scorer.all_logps(model, prompts, responses).tolist()
        apart: dict[str, list[float]] = defaultdict(list)
        tokens: dict[str, int] = defaultdict(int)
        for (url, group), logps in zip(answers, scored, strict=True):
            for (ids, logp), expected in zip(group, logps, strict=True):
                apart[url].append(abs(logp - expected))
                tokens[url] += len(ids)
        return {url: math.fsum(apart[url]) / tokens[url] for url in sorted(apart)}

    @property
    def _first(self) -> int:
        """Prompts whose responses are compared before all others are asked for."""
        return FIRST * len(self.spec.urls)

    def _body(self, request: SamplingRequest, end_ids: Set[int]) -> dict[str, Any]:
        """Names every setting that shapes a response: for a missing one, servers take the model's own default."""
        settings = self.settings
        extra = {
            "top_k": settings.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            # Responses end at `end_ids` and at no other token.
            "ignore_eos": True,
            "stop_token_ids": sorted(end_ids),
            "return_token_ids": True,
        }
        return {
            "model": self._handover.name,
            "prompt": list(request.prompt),
            "n": request.k,
            "seed": request.seed,
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            # 0: of the sampled tokens alone.
            "logprobs": 0,
            "extra_body": extra,
        }

    @property
    def warn_above(self) -> float:
        return self._agreement.warns_at
