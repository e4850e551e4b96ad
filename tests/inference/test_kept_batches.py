"""Batches that a killed attempt finished: read back as they were, or dropped with a reason."""

import json
from pathlib import Path

import pytest
import torch

from src.inference.kept_batches import KeptBatches
from src.inference.sampler import Sampler
from src.runtime.errors import RunError
from tests.tiny import keys, tiny_model

FACTS = {"round": 1, "config_hash": "hash", "after": None}
PROMPTS = [(2, 3, 4), (7,), (9, 8, 7, 6, 10), (11, 12)]
ENDS = {1, 5}
GROUPS = [[((3, 1), -0.1 - 0.2), ((), -0.0)], [((4,), -1e-17), ((5, 5), -3.0)]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pairs" / "sampled_001.jsonl"


def kept(file: Path, **facts: object) -> tuple[KeptBatches, list[str]]:
    said: list[str] = []
    return KeptBatches(file, FACTS | facts, said.append), said


def filled(file: Path) -> bytes:
    """Two batches: the first with two prompts, the second with one."""
    one, _ = kept(file)
    one.add(PROMPTS[:2], keys(2, 2), GROUPS)
    one.add(PROMPTS[2:3], keys(1, 2, seed=1), GROUPS[:1])
    return file.read_bytes()


def test_a_batch_comes_back_with_the_same_bits(file: Path) -> None:
    filled(file)
    again, said = kept(file)
    assert (again.found, said) == (2, [])
    assert again.find(PROMPTS[:2], keys(2, 2)) == GROUPS
    assert again.find(PROMPTS[2:3], keys(1, 2, seed=1)) == GROUPS[:1]


def test_only_the_same_batch_is_found(file: Path) -> None:
    """Part of a batch, or other random numbers, would give other bits."""
    filled(file)
    again, _ = kept(file)
    assert again.find(PROMPTS[:1], keys(2, 2)[:1]) is None
    assert again.find(PROMPTS[:2], keys(2, 2, seed=3)) is None
    assert again.find([PROMPTS[0], PROMPTS[2]], keys(2, 2)) is None


def test_nothing_is_written_before_the_first_batch(file: Path) -> None:
    one, said = kept(file)
    assert one.find(PROMPTS, keys(4, 2)) is None and not file.parent.exists() and not said
    one.remove()


def test_a_line_that_was_being_written_is_dropped_without_a_word(file: Path) -> None:
    """At every length that a kill may leave."""
    whole = filled(file)
    ends = [index + 1 for index, byte in enumerate(whole) if byte == 10]
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        again, said = kept(file)
        lines = sum(end <= length for end in ends)
        assert (again.found, said) == (max(0, lines - 1), [])
        assert file.is_file() == (lines > 1)
        again.add(PROMPTS[2:3], keys(1, 2, seed=1), GROUPS[:1])
        assert kept(file)[0].find(PROMPTS[2:3], keys(1, 2, seed=1)) == GROUPS[:1]


@pytest.mark.parametrize("fact", ["round", "config_hash", "after"])
def test_batches_of_another_run_are_dropped_with_a_reason(file: Path, fact: str) -> None:
    filled(file)
    other, [line] = kept(file, **{fact: "another"})
    assert other.found == 0 and not file.exists()
    assert f"{file} is of another policy, configuration, data or sampler" in line


@pytest.mark.parametrize(("line", "left"), [(0, 0), (1, 0), (2, 1)])
@pytest.mark.parametrize("damage", ["flip", "text", "swap", "null"])
def test_damage_is_named_and_the_batches_before_it_are_used(file: Path, line: int, left: int, damage: str) -> None:
    lines = filled(file).splitlines(keepends=True)
    lines[line] = {
        "flip": lines[line].replace(b"1", b"2", 1),
        "text": b"nothing\n",
        "swap": lines[line - 1 if line else 1],
        "null": b"null\n",
    }[damage]
    file.write_bytes(b"".join(lines))
    again, said = kept(file)
    if damage == "swap" and line == 2:  # a batch twice is no damage
        left = 1
        assert said == []
    else:
        assert len(said) == 1 and str(file) in said[0] and f"line {line + 1}, is damaged; {left} batches" in said[0]
    assert again.found == left and file.is_file() == bool(left)


def test_a_batch_with_a_log_prob_that_is_not_finite_is_not_kept(file: Path) -> None:
    one, _ = kept(file)
    one.add(PROMPTS[:1], keys(1, 1), [[((3,), float("nan"))]])
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_named(file: Path) -> None:
    file.parent.parent.joinpath("pairs").write_text("")
    one, _ = kept(file)
    with pytest.raises(RunError, match=r"sampled_001\.jsonl cannot be written"):
        one.add(PROMPTS[:1], keys(1, 1), [[((3,), -1.0)]])


def test_a_file_of_one_batch_is_json(file: Path) -> None:
    rows = [json.loads(line) for line in filled(file).splitlines()]
    assert rows[0]["facts"] == FACTS and len(rows) == 3


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
def test_sampling_goes_on_after_the_batches_that_are_there(file: Path, killed_after: int) -> None:
    """Four prompts of two responses in batches of one prompt, stopped within one of them."""
    model, given = tiny_model(), keys(4, 2)
    plain = Sampler(1.0, 0, 1.0, 9, rows=2, longest=0)
    undisturbed = plain.sample_scored(model, PROMPTS, given, ENDS)

    def keeping() -> Sampler:
        return Sampler(1.0, 0, 1.0, 9, rows=2, longest=0, kept=kept(file)[0])

    done = 0

    def die(parts: int) -> None:
        nonlocal done
        done += parts
        if done > killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keeping().sample_scored(model, PROMPTS, given, ENDS, die)
    drawn: list[int] = []
    batch = Sampler._batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampler, "_batch", lambda self, *args: drawn.append(1) or batch(self, *args))
        again = keeping().sample_scored(model, PROMPTS, given, ENDS)
    assert again == undisturbed  # log-probs to the bit
    assert len(drawn) == 3 - killed_after
    assert torch.equal(given, keys(4, 2))
