"""Supervised fine-tuning (SFT) of a policy on the labels of prompts."""

from collections.abc import Callable

import torch

from src.data.prompt_stream import PromptStream
from src.inference.scorer import Scorer
from src.models.policy import Policy
from src.models.spec import SftSpec
from src.records import Prompt
from src.runtime.memory import advising, naming
from src.runtime.seeding import stream_seed


def finetune(
    policy: Policy,
    prompts: list[Prompt],
    spec: SftSpec,
    member: int,
    scorer: Scorer,
    advance: Callable[[float], None],
) -> float:
    """Trains a policy with one member on the labels. Only adapters use dropout.

    The learning rate rises linearly in the first twentieth of the steps, and then falls linearly to 0.

    Args:
        policy: trained in place.
        prompts: with labels.
        spec: the training settings.
        member: number of the member, which selects the order of the data and the dropout masks.
        scorer: computes the log-probs of the labels.
        advance: called after every step with its loss.

    Returns:
        The mean loss of the last tenth of the steps, in nats per label token.

    Raises:
        FloatingPointError: if the loss is not finite.
    """
    seed = spec.seed + member
    stream = PromptStream(prompts, stream_seed(seed, "sft"))
    parameters = list(policy.trainable().values())
    optimizer = torch.optim.AdamW(parameters, lr=spec.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    warmup = max(1, spec.steps // 20)
    losses = []
    for layer in policy.layers.values():
        layer.dropout.train()
    with torch.random.fork_rng(devices=[]), policy.learning() as model:
        torch.manual_seed(stream_seed(seed, "dropout"))
        for step in range(spec.steps):
            factor = min((step + 1) / warmup, (spec.steps - step) / max(1, spec.steps - warmup))
            for group in optimizer.param_groups:
                group["lr"] = spec.learning_rate * factor
            batch = stream.take(spec.batch_size)
            tokens = sum(len(prompt.label_ids) for prompt in batch)
            total = 0.0
            optimizer.zero_grad()
            rows, labels = [prompt.ids for prompt in batch], [(prompt.label_ids,) for prompt in batch]
            for part in scorer.batches(rows, labels):
                with naming("model.tokens", scorer.tokens):
                    logps = scorer.logps(model, [rows[i] for i in part], [labels[i] for i in part])
                    loss = -logps.sum() / tokens
                    loss.backward()
                total += loss.item()
            if not torch.isfinite(torch.tensor(total)):
                raise FloatingPointError(f"SFT: the loss of step {step} is {total}; lower model.sft.learning_rate")
            policy.clip_gradients(1.0)
            with advising(policy.lighter):
                optimizer.step()
            losses.append(total)
            advance(total)
    for layer in policy.layers.values():
        layer.dropout.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)
