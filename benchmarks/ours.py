"""Our side of the learning benchmarks: steps of `src.learning.learner` on given pairs."""

from dataclasses import asdict

import torch
from transformers import PreTrainedModel

from benchmarks.flops import shape_of
from benchmarks.machine import product_rate
from benchmarks.material import Material, Pair
from benchmarks.sides import Turns
from src.inference.scorer import scorer_for
from src.learning.learner import Learner
from src.models.policy import Policy
from src.models.pretrained import load_model, load_tokenizer
from src.records import Comparison, Prompt, Response, Row
from src.runtime.device import choose_device
from src.runtime.report import Report


def learn(turns: Turns, given: Material) -> None:
    """A turn is one step of all members together."""
    learner = new_learner(given, given.config.ensemble)
    _steps(turns, given, learner, times=1)


def learn_singly(turns: Turns, given: Material) -> None:
    """A turn is a step of one member, repeated for as many members as the ensemble has."""
    _steps(turns, given, new_learner(given, 1), times=given.config.ensemble)


def _steps(turns: Turns, given: Material, learner: Learner, times: int) -> None:
    batches = [compared(learner, pairs) for pairs in given.pairs]
    device, dtype = learner.policy.device, learner.policy.model.dtype
    spec = given.config.model.lora
    turns.ready(
        rate=product_rate(device, dtype),
        shape=asdict(shape_of(learner.policy.model, spec.rank if spec else None)),
        tokens=[token_counts(pairs) for pairs in given.pairs],
        reference=[[comparison.logps["reference"] for comparison in batch] for batch in batches],
    )
    turn = 0
    while True:
        turns.wait()
        for _ in range(times):
            # Always step 0, so that the learning rate stays the same however many turns there are.
            learner.step(0, batches[turn % len(batches)])
        turns.done()
        turn += 1


def new_learner(given: Material, members: int) -> Learner:
    """A learner on the base: with fresh adapters, or of all weights."""
    policy = new_policy(given, members)
    scorer = scorer_for(policy.model, given.config.model.tokens, Report().warn)
    return Learner(policy, given.config.loss, scorer, given.config.optimizer, given.config.learning_rate, 1)


def new_policy(given: Material, members: int) -> Policy:
    """The base with fresh adapters of `members` members."""
    spec = given.config.model
    policy = Policy(
        plain_model(given).to(choose_device(given.config.device)),  # type: ignore[arg-type]
        load_tokenizer(given.base),
        base=given.base,
        lora=spec.lora,
        members=members,
        gradient_checkpointing=spec.gradient_checkpointing,
    )
    policy.initialize_adapters(given.config.seed)
    return policy


def plain_model(given: Material) -> PreTrainedModel:
    """The model without adapters, as every side loads it."""
    model = load_model(given.base, getattr(torch, given.config.model.dtype))
    if given.vocabulary is not None:
        model.resize_token_embeddings(given.vocabulary, mean_resizing=False)
    return model


def token_counts(pairs: list[Pair]) -> tuple[int, int]:
    """Tokens in a conventional batch, where each response follows a copy of its prompt; and response tokens in it."""
    responses = sum(len(pair.chosen) + len(pair.rejected) for pair in pairs)
    return 2 * sum(len(pair.prompt) for pair in pairs) + responses, responses


def compared(learner: Learner, pairs: list[Pair]) -> list[Comparison]:
    """Pairs with the base's log-probs as reference, as the learner receives them after a collection round."""
    with learner.policy.using(learner.policy.mean()) as model:
        prompts, responses = [pair.prompt for pair in pairs], [pair[1:] for pair in pairs]
        scored = learner.scorer.all_logps(model, prompts, responses).tolist()
    return [
        Comparison(
            prompt=Prompt(index, Row("", ""), pair.prompt, ()),
            responses=(Response(pair.chosen, ""), Response(pair.rejected, "")),
            scores=None,
            chosen=0,
            logps=dict.fromkeys(("behavior", "reference", "sft"), tuple(logps)),
        )
        for index, (pair, logps) in enumerate(zip(pairs, scored, strict=True))
    ]
