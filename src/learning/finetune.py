"""Supervised fine-tuning on (prompt, label): what makes an SFT policy."""

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
    """Trains a policy of one member on the labels; adapters with dropout, everything else without.

    Args:
        policy: changed in place.
        member: whose data order and dropout these are.
        scorer: computes the labels' log-probs.
        advance: called after every step with the loss.

    Returns:
        The mean loss of the last tenth of the steps, nats a label token.

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
            share = min((step + 1) / warmup, (spec.steps - step) / max(1, spec.steps - warmup))
            for group in optimizer.param_groups:
                group["lr"] = spec.learning_rate * share
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
