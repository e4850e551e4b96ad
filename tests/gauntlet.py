"""Every causal language model class of transformers, made tiny and compared with plain transformers.

    python -m tests.gauntlet                 writes the table in docs/models.md (many minutes)
    python -m tests.gauntlet llama mamba     the rows of some model types
    python -m tests.gauntlet --missing       the rows that the table lacks, or that say "not tried" of adapters
    python -m tests.gauntlet --no-adapters   scoring and sampling alone

Plain transformers means: one row, no padding, no mask, no positions, no cache.
"""

import copy
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from src.inference.plain_choice import plain_decoder
from src.inference.plain_decoding import PlainDecoder
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, scorer_for
from src.inference.unpadded_decoding import UnpaddedDecoder
from src.models.context import length_switch
from src.models.lora import folded
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.models.stacking import require_stackable
from src.records import Ids
from src.runtime.errors import RunError
from tests.families import make_tokenizer
from tests.shrunk import families, tiny
from tests.tiny import keys

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
HEAD = "| model type | scoring | sampling | adapters | note |\n| --- | --- | --- | --- | --- |"
OPTIONS = ("--missing", "--no-adapters")
NOT_TRIED = "not tried"
NEVER = {10**6}  # an end token that is no token of the model
LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")


def _some(length: int, seed: int) -> Ids:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(10, 250, (length,), generator=generator).tolist())


# One row within the windows of the tiny models, two beyond; three responses each.
PROMPTS = [_some(length, length) for length in (3, 11, 30)]
RESPONSES = [
    [_some(length, 100 * row + length) for length in lengths]
    for row, lengths in enumerate(((2, 1, 1), (6, 1, 3), (4, 9, 5)))
]


@dataclass(frozen=True)
class Outcome:
    """What a model type came to.

    Attributes:
        name: the model type.
        scoring: "shared prompts" or "plain rows"; "refused" or "not made" otherwise.
        sampling: the decoder.
        adapters: what holds with LoRA.
        note: why a model is refused or not made.
    """

    name: str
    scoring: str
    sampling: str = ""
    adapters: str = ""
    note: str = ""

    def row(self) -> str:
        """A line of the table."""
        return f"| `{self.name}` | {self.scoring} | {self.sampling} | {self.adapters} | {self.note} |"


def outcome(name: str, adapters: bool = True) -> Outcome:
    """Makes a tiny model of a type, and compares all that is done with it with plain transformers.

    Args:
        name: the model type.
        adapters: whether LoRA is tried too.

    Raises:
        AssertionError: if a number is wrong.
    """
    try:
        model = tiny(name)
    except ValueError as error:
        return Outcome(name, "not made", note=line_of(error))
    base = copy.deepcopy(model)
    try:
        scorer = scorer_for(model, 4096, lambda _: None)
    except RunError as error:
        return Outcome(name, "refused", note=line_of(error))
    prompts, responses = rows_of(model)
    check_scoring(model, scorer, prompts, responses)
    check_sampling(model, scorer, prompts)
    check_greedy(model, scorer, prompts)
    make = plain_decoder(model)
    ways = {PlainDecoder: "padded", UnpaddedDecoder: "by length"}
    sampling = "shared prompts" if scorer.longest > 64 else ways.get(make, "without a cache")
    scoring = "shared prompts" if scorer.longest else "plain rows"
    if 0 < scorer.longest <= 64:
        scoring = "shared within the window"
        sampling = f"shared within the window, else {sampling}"
    switch = length_switch(model.config)
    note = f"rows of up to {switch.tokens} tokens of {switch.kind}" if switch else ""
    return Outcome(name, scoring, sampling, check_adapters(model, base, scorer) if adapters else NOT_TRIED, note)


@torch.no_grad()
def alone(model: PreTrainedModel, row: Ids) -> Tensor:
    """Log-probabilities of the token after each token of a row; (length, vocabulary)."""
    return model(input_ids=torch.tensor([row]), use_cache=False).logits[0].float().log_softmax(-1)


def alone_logps(model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]) -> Tensor:
    """Log-probability of every response, from its row by itself; (B, k)."""

    def one(prompt: Ids, response: Ids) -> float:
        table = alone(model, (*prompt, *response))
        return sum(table[len(prompt) - 1 + place, token].item() for place, token in enumerate(response))

    return torch.tensor([[one(p, r) for r in group] for p, group in zip(prompts, responses, strict=True)])


def rows_of(model: PreTrainedModel) -> tuple[list[Ids], list[list[Ids]]]:
    """Prompts and responses, within the length beyond which a model is refused."""
    switch = length_switch(model.config)
    if switch is None or switch.kind == "longrope":
        return PROMPTS, RESPONSES
    prompts = [prompt[: max(1, switch.tokens - 6)] for prompt in PROMPTS]
    return prompts, [[response[:6] for response in group] for group in RESPONSES]


def close(what: str, ours: Tensor, expected: Tensor) -> None:
    """Asserts that log-probabilities are equal up to 1e-4 and the rounding of float32.

    Adapters of PEFT are added in another order, whose rounding a deep recurrence (HRM) makes larger.
    """
    off = (ours - expected).abs().max().item()
    atol = 1e-3 if what.startswith("PEFT") else 1e-4
    assert torch.allclose(ours, expected, rtol=2e-5, atol=atol), f"{what}: off by {off:.2g}"


def check_scoring(model: PreTrainedModel, scorer: Scorer, prompts: list[Ids], responses: list[list[Ids]]) -> None:
    """All rows at once, and in passes of few tokens."""
    expected = alone_logps(model, prompts, responses)
    for tokens in (4096, 40):
        some = Scorer(tokens, scorer.longest, scorer.packed)
        close("scored", some.all_logps(model, prompts, responses), expected)


def check_sampling(model: PreTrainedModel, scorer: Scorer, prompts: list[Ids]) -> None:
    """The log-probabilities of sampled responses; one end token, so that rows leave."""
    sampler = Sampler(1.0, 0, 1.0, max_new_tokens=6, rows=100, longest=scorer.longest)
    drawn = sampler.sample_scored(model, prompts, keys(len(prompts), 2), set(range(60)))
    responses = [[ids for ids, _ in group] for group in drawn]
    expected = alone_logps(model, prompts, responses)
    close("sampled", torch.tensor([[logp for _, logp in group] for group in drawn]), expected)


def check_greedy(model: PreTrainedModel, scorer: Scorer, prompts: list[Ids], tokens: int = 4) -> None:
    """Greedy responses are those of rows by themselves, up to ties."""
    sampler = Sampler(0.0, 0, 1.0, max_new_tokens=tokens, rows=100, longest=scorer.longest)
    ours = [group[0] for group in sampler.sample(model, prompts, keys(len(prompts), 1), NEVER)]
    for prompt, response in zip(prompts, ours, strict=True):
        table = alone(model, (*prompt, *response))[len(prompt) - 1 : -1]
        behind = table.max(1).values - table.gather(1, torch.tensor(response)[:, None]).squeeze(1)
        assert behind.max() < 1e-3, f"greedy: {behind.max():.2g} nats below the most likely token"


def check_adapters(model: PreTrainedModel, base: PreTrainedModel, scorer: Scorer) -> str:
    """Two members learn as each by itself; their mean is what PEFT loads and merges. What holds, for the table.

    Args:
        model: changed in place.
        base: a copy of the model.
        scorer: of the model.

    Raises:
        AssertionError: if a number is wrong.
    """
    try:
        policy = Policy(model, tokenizer(), "base", LORA, members=2)
        require_stackable(model, 2)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in policy.trainable().values():
                parameter.normal_(std=0.1, generator=generator)
        prompts, triples = rows_of(model)
        pairs = [group[:2] for group in triples]
        with policy.learning(), torch.no_grad():
            ours = scorer.member_logps(model, 2, prompts, pairs)
    except RunError as error:
        return f"refused: {line_of(error)}"
    for member in range(2):
        weights = {
            f"{name}.weight": folded(layer.base, layer.scale * (layer.B[member] @ layer.A[member]).detach())
            for name, layer in policy.layers.items()
        }
        with policy.using(weights):
            close(f"member {member}", ours[member], alone_logps(model, prompts, pairs))
    with policy.using(policy.mean()):
        expected = alone(model, prompts[2])
    untouched = alone(base, prompts[2])
    assert (expected - untouched).abs().max() > 1e-2, "the adapters change nothing"
    with tempfile.TemporaryDirectory() as folder:
        try:
            policy.save(Path(folder))
            loaded = PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
        except Exception as error:
            return f"not for PEFT: {line_of(error)}"
        close("PEFT", alone(loaded, prompts[2]), expected)
        close("PEFT, merged", alone(loaded.merge_and_unload(), prompts[2]), expected)
    return "exact"


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Any tokenizer; the saved policy has one beside it."""
    return make_tokenizer()


def line_of(error: Exception) -> str:
    """An error in a cell of the table."""
    text = " ".join(str(error).split()).split(";")[0]
    return re.sub(r"[|`<>]", "", text)[:160]


def rows_on_page() -> dict[str, str]:
    """The lines of the table in docs/models.md, by model type."""
    lines = PAGE.read_text().split(BEGIN)[1].split(END)[0].splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def write_rows(rows: dict[str, str]) -> None:
    """Writes the table of docs/models.md."""
    before, after = PAGE.read_text().split(BEGIN)[0], PAGE.read_text().split(END)[1]
    lines = "\n".join([HEAD, *(rows[name] for name in sorted(rows))])
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}")


def quietly() -> None:
    """Turns off what transformers says about tiny configurations."""
    transformers.utils.logging.set_verbosity(50)
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")


def main(words: list[str]) -> None:
    """Tries model types and writes their rows, one after the other, so that a run that is stopped keeps its rows."""
    quietly()
    names = [word for word in words if word not in OPTIONS] or sorted(families())
    if "--missing" in words:
        names = [name for name in names if f" {NOT_TRIED} " in rows_on_page().get(name, f" {NOT_TRIED} ")]
    for name in names:
        started = time.perf_counter()
        try:
            found = outcome(name, adapters="--no-adapters" not in words)
        except Exception as error:
            found = Outcome(name, "WRONG", note=f"{type(error).__name__}: {line_of(error)}")
        write_rows(rows_on_page() | {name: found.row()})
        sys.stdout.write(f"{found.row()} {time.perf_counter() - started:.1f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
