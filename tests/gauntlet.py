"""Every causal language model class of transformers, made tiny and compared with plain transformers.

    python -m tests.gauntlet                 writes the table in docs/models.md (minutes)
    python -m tests.gauntlet llama mamba     prints the rows of some model types

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
from src.models.lora import folded
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.records import Ids
from src.runtime.errors import RunError
from tests.families import make_tokenizer
from tests.shrunk import VOCABULARY, families, tiny
from tests.tiny import keys

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
NEVER = {10**6}  # an end token that is no token of the model
LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")


def _some(length: int, seed: int) -> Ids:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(10, VOCABULARY - 10, (length,), generator=generator).tolist())


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
        return Outcome(name, "not made", note=_line(error))
    base = copy.deepcopy(model)
    try:
        scorer = scorer_for(model, 4096, lambda _: None)
    except RunError as error:
        return Outcome(name, "refused", note=_line(error))
    check_scoring(model, scorer)
    check_sampling(model, scorer)
    check_greedy(model, scorer)
    make = plain_decoder(model)
    ways = {PlainDecoder: "padded", UnpaddedDecoder: "by length"}
    sampling = "shared prompts" if scorer.longest > 64 else ways.get(make, "without a cache")
    scoring = "shared prompts" if scorer.longest else "plain rows"
    if 0 < scorer.longest <= 64:
        scoring = "shared within the window"
        sampling = f"shared within the window, else {sampling}"
    return Outcome(name, scoring, sampling, check_adapters(model, base, scorer) if adapters else "")


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


def close(what: str, ours: Tensor, expected: Tensor) -> None:
    """Asserts that log-probabilities are equal up to 1e-4 and the rounding of float32."""
    off = (ours - expected).abs().max().item()
    assert torch.allclose(ours, expected, rtol=2e-5, atol=1e-4), f"{what}: off by {off:.2g}"


def check_scoring(model: PreTrainedModel, scorer: Scorer) -> None:
    """All rows at once, and in passes of few tokens."""
    expected = alone_logps(model, PROMPTS, RESPONSES)
    for tokens in (4096, 40):
        some = Scorer(tokens, scorer.longest, scorer.packed)
        close("scored", some.all_logps(model, PROMPTS, RESPONSES), expected)


def check_sampling(model: PreTrainedModel, scorer: Scorer) -> None:
    """The log-probabilities of sampled responses; one end token, so that rows leave."""
    sampler = Sampler(1.0, 0, 1.0, max_new_tokens=6, rows=100, longest=scorer.longest)
    drawn = sampler.sample_scored(model, PROMPTS, keys(len(PROMPTS), 2), set(range(60)))
    responses = [[ids for ids, _ in group] for group in drawn]
    expected = alone_logps(model, PROMPTS, responses)
    close("sampled", torch.tensor([[logp for _, logp in group] for group in drawn]), expected)


def check_greedy(model: PreTrainedModel, scorer: Scorer, tokens: int = 4) -> None:
    """Greedy responses are those of rows by themselves, up to ties."""
    sampler = Sampler(0.0, 0, 1.0, max_new_tokens=tokens, rows=100, longest=scorer.longest)
    ours = [group[0] for group in sampler.sample(model, PROMPTS, keys(len(PROMPTS), 1), NEVER)]
    for prompt, response in zip(PROMPTS, ours, strict=True):
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
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in policy.trainable().values():
                parameter.normal_(std=0.1, generator=generator)
        pairs = [group[:2] for group in RESPONSES]
        with policy.learning(), torch.no_grad():
            ours = scorer.member_logps(model, 2, PROMPTS, pairs)
    except RunError as error:
        return f"refused: {_line(error)}"
    for member in range(2):
        weights = {
            f"{name}.weight": folded(layer.base, layer.scale * (layer.B[member] @ layer.A[member]).detach())
            for name, layer in policy.layers.items()
        }
        with policy.using(weights):
            close(f"member {member}", ours[member], alone_logps(model, PROMPTS, pairs))
    with policy.using(policy.mean()):
        expected = alone(model, PROMPTS[2])
    untouched = alone(base, PROMPTS[2])
    assert (expected - untouched).abs().max() > 1e-2, "the adapters change nothing"
    with tempfile.TemporaryDirectory() as folder:
        try:
            policy.save(Path(folder))
            loaded = PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
        except Exception as error:
            return f"not for PEFT: {_line(error)}"
        close("PEFT", alone(loaded, PROMPTS[2]), expected)
        close("PEFT, merged", alone(loaded.merge_and_unload(), PROMPTS[2]), expected)
    return "exact"


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Any tokenizer; the saved policy has one beside it."""
    return make_tokenizer()


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()).split(";")[0]
    return re.sub(r"[|`<>]", "", text)[:160]


def table(outcomes: Sequence[Outcome]) -> str:
    """The table of docs/models.md."""
    head = "| model type | scoring | sampling | adapters | why not |\n| --- | --- | --- | --- | --- |\n"
    return head + "\n".join(one.row() for one in outcomes) + "\n"


def table_on_page() -> str:
    """The table as it stands in docs/models.md."""
    return PAGE.read_text().split(BEGIN + "\n")[1].split(END)[0]


def quietly() -> None:
    """Turns off what transformers says about tiny configurations."""
    transformers.utils.logging.set_verbosity(50)
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")


def main(names: list[str]) -> None:
    """Prints the rows of model types; without names, of all, and writes the page's table."""
    quietly()
    outcomes = []
    for name in names or sorted(families()):
        started = time.perf_counter()
        try:
            found = outcome(name)
        except Exception as error:
            found = Outcome(name, "WRONG", note=f"{type(error).__name__}: {_line(error)}")
        outcomes.append(found)
        sys.stdout.write(f"{found.row()} {time.perf_counter() - started:.1f} s\n")
        sys.stdout.flush()
    if not names:
        before, after = PAGE.read_text().split(BEGIN)[0], PAGE.read_text().split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table(outcomes)}{END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
