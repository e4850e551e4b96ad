from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from src.collection.dataset_pairs import DatasetCollector
from src.collection.sampled_pairs import SamplingCollector
from src.inference.scorer import ignore
from src.inference.uniforms import PromptKeys
from src.records import Candidate, Ids, Response, Tally
from tests.tiny import numbered_prompts

END = 1
MODEL = nn.Identity()


class Letters:
    """A template of which token n is the n-th letter, token 0 a space; the end token has no text."""

    end_ids = frozenset({END})

    def text(self, ids: Ids) -> str:
        return "".join(" " if id == 0 else chr(ord("a") + id) for id in ids if id != END).strip()


@dataclass
class Script:
    """A sampler that gives each prompt the pairs written down for it, one an attempt."""

    pairs: dict[Ids, list[tuple[Ids, Ids]]]
    calls: list[list[Ids]] = field(default_factory=list)
    keys: list[torch.Tensor] = field(default_factory=list)

    def sample_scored(self, model, prompts, keys, end_ids, tick) -> list[list[tuple[Ids, float]]]:
        assert model is MODEL and keys.shape == (len(prompts), 2) and end_ids == {END}
        self.keys.append(keys)
        self.calls.append(list(prompts))
        tick(len(prompts))
        return [[(ids, -float(sum(ids))) for ids in self.pairs[prompt].pop(0)] for prompt in prompts]


def collect(pairs: list[list[tuple[Ids, Ids]]], resample: int) -> tuple[list[Candidate | None], Tally, Script]:
    prompts = numbered_prompts(len(pairs))
    script = Script({prompt.ids: list(one) for prompt, one in zip(prompts, pairs, strict=True)})
    tally = Tally()
    collector = SamplingCollector(script, Letters(), resample)
    return collector.collect(MODEL, prompts, PromptKeys(0).take(len(prompts)), tally, ignore), tally, script


SAME, OTHER = ((5, END), (5, END)), ((6, END), (7, END))


def test_different_responses_make_a_candidate_at_once():
    candidates, tally, _ = collect([[((5, END), (6, END))], [OTHER]], resample=3)
    first, second = numbered_prompts(2)
    assert candidates == [
        Candidate(first, (Response((5, END), "f"), Response((6, END), "g"))),
        Candidate(second, (Response((6, END), "g"), Response((7, END), "h"))),
    ]
    assert [response.logp for response in candidates[0].responses] == [-6, -7]
    assert tally == Tally(generated_responses=4)


def test_identical_responses_are_both_sampled_again_and_the_others_left_alone():
    candidates, tally, script = collect([[OTHER], [SAME, SAME, OTHER], [OTHER], [SAME, OTHER]], resample=2)
    ids = [prompt.ids for prompt in numbered_prompts(4)]
    assert script.calls == [ids, [ids[1], ids[3]], [ids[1]]]
    assert [candidate.prompt.id for candidate in candidates] == [0, 1, 2, 3]
    assert all(candidate.responses == (Response((6, END), "g"), Response((7, END), "h")) for candidate in candidates)
    # Every attempt has its own random numbers, which the other prompts do not change.
    first, second, third = script.keys
    alone = collect([[OTHER], [SAME, SAME, OTHER]], resample=2)[2].keys
    assert torch.equal(second[0], alone[1][0]) and torch.equal(third, alone[2])
    assert len({*first.flatten().tolist(), *second.flatten().tolist(), *third.flatten().tolist()}) == 14
    # 4 pairs, then 2, then 1
    assert tally == Tally(generated_responses=14, resampled=3)


@pytest.mark.parametrize("resample", [0, 1, 3])
def test_a_prompt_is_passed_over_after_so_many_attempts_more(resample):
    candidates, tally, script = collect([[SAME] * (1 + resample) + [OTHER], [OTHER]], resample)
    assert [candidate is None for candidate in candidates] == [True, False]
    assert len(script.calls) == 1 + resample
    assert tally == Tally(generated_responses=4 + 2 * resample, resampled=resample, passed_over=1)


def test_the_last_attempt_counts():
    candidates, tally, _ = collect([[SAME, SAME, OTHER], [OTHER]], resample=2)
    assert None not in candidates
    assert tally.passed_over == 0


@pytest.mark.parametrize("pair", [((5, END), (5,)), ((5, 0, END), (5, END)), ((END,), ())])
def test_responses_are_identical_where_their_texts_are(pair):
    # What nobody can see (an end token cut off, white space at the end) makes no preference.
    candidates, tally, _ = collect([[pair], [OTHER]], resample=0)
    assert candidates[0] is None
    assert tally.passed_over == 1


def test_progress_is_that_of_the_first_attempt():
    prompts, heard = numbered_prompts(3), []
    script = Script({prompt.ids: [SAME, SAME, OTHER] for prompt in prompts})
    SamplingCollector(script, Letters(), 2).collect(MODEL, prompts, PromptKeys(0).take(3), Tally(), heard.append)
    assert len(script.calls) == 3
    assert heard == [3]


def test_the_tally_is_added_to():
    tally = Tally(annotated_pairs=5, generated_responses=10, resampled=1, passed_over=2, oracle_ties=3)
    prompts = numbered_prompts(2)
    script = Script({prompts[0].ids: [SAME, SAME], prompts[1].ids: [OTHER]})
    SamplingCollector(script, Letters(), 1).collect(MODEL, prompts, PromptKeys(0).take(2), tally, ignore)
    assert tally == Tally(annotated_pairs=5, generated_responses=16, resampled=2, passed_over=3, oracle_ties=3)


def test_responses_without_text_or_end_are_counted_as_they_are_drawn():
    prompts = numbered_prompts(2)
    script = Script({prompts[0].ids: [((END,), (5, END))], prompts[1].ids: [((5, 6), (0, END))]})
    collector = SamplingCollector(script, Letters(), 0)
    collector.collect(MODEL, prompts, PromptKeys(0).take(2), Tally(), ignore)
    assert (collector.drawn.responses, collector.drawn.empty, collector.drawn.cut) == (4, 2, 1)
    assert DatasetCollector(10).oddity() is None
