import numpy as np
import pytest

from src.data.embedded import WORLDS
from src.data.world import Slot, World, another

# Every slot has its own worth, so that a wrong slot shows in the score.
FACTS = {"who": "the cat", "what": "broke a cup", "when": "at noon"}
SLOTS = {
    "who": Slot(4.0, ("the cat", "the dog", "the cat and the dog")),
    "what": Slot(2.0, ("broke a cup", "ran away")),
    "when": Slot(1.0, ("at noon", "at one")),
}


def never(rng: np.random.Generator):
    raise AssertionError("scoring generates nothing")


WORLD = World(SLOTS, never)


@pytest.mark.parametrize(
    ("text", "worth", "words"),
    [
        ("", 0, 0),
        ("   ", 0, 0),
        ("nothing of it", 0, 3),
        ("the cat", 4, 2),
        ("the cat broke a cup at noon", 7, 7),
        ("At noon, the cat broke a cup.", 6, 7),  # "At noon" is not how the phrase is written
        ("the dog", -4, 2),
        ("the dog ran away at one", -7, 6),
        ("the cat ran away", 4 - 2, 4),
        ("the cat, the dog", 4 - 4, 4),  # right and wrong
        ("the dog the cat and the dog", -4 - 4, 7),  # two different wrong ones
        ("the cat and the dog", -4, 5),  # the longest phrase is the one that is named
        ("the cat the cat the cat", 4, 6),  # once is enough
        ("the dog the dog", -4, 4),
        ("the cats", 0, 2),
        ("bathe cat", 0, 2),
        ("(the cat)", 4, 2),
        ("the  cat", 0, 2),
    ],
)
def test_score_by_hand(text, worth, words):
    # worth of what is named rightly - worth of what is named wrongly - 0.04 a word
    assert WORLD.gold_score(FACTS, text) == pytest.approx(worth - 0.04 * words)


def test_another_phrase_is_another_one_and_any_of_them():
    rng = np.random.default_rng(0)
    assert {another(rng, SLOTS["who"], "the cat") for _ in range(50)} == {"the dog", "the cat and the dog"}


@pytest.mark.parametrize("task", WORLDS)
def test_no_phrase_stands_twice_in_a_world(task):
    phrases = [phrase for slot in WORLDS[task].slots.values() for phrase in slot.phrases]
    assert len(set(phrases)) == len(phrases)


@pytest.mark.parametrize("task", WORLDS)
def test_every_phrase_counts_for_its_own_slot_alone(task):
    world = WORLDS[task]
    wrong = dict.fromkeys(world.slots, "none of them")
    double = []
    for name, slot in world.slots.items():
        for phrase in slot.phrases:
            cost = 0.04 * len(phrase.split())
            if world.gold_score(wrong | {name: phrase}, phrase) != pytest.approx(slot.worth - cost):
                double.append(phrase)
    assert double == []


@pytest.mark.parametrize("task", WORLDS)
def test_two_phrases_side_by_side_make_no_third(task):
    world = WORLDS[task]
    wrong = dict.fromkeys(world.slots, "none of them")
    phrases = [phrase for slot in world.slots.values() for phrase in slot.phrases]
    alone = {phrase: world.gold_score(wrong, phrase) for phrase in phrases}
    slot_of = {phrase: name for name, slot in world.slots.items() for phrase in slot.phrases}
    for first in phrases:
        for second in phrases:
            if slot_of[first] != slot_of[second]:
                both = world.gold_score(wrong, f"{first} {second}")
                assert both == pytest.approx(alone[first] + alone[second]), (first, second)


@pytest.mark.parametrize("task", WORLDS)
def test_labels_leave_room_to_do_better(task):
    world, rng = WORLDS[task], np.random.default_rng(0)
    short = []
    for example in (world.generate(rng) for _ in range(300)):
        best = world.gold_score(example.facts, " ".join(example.facts.values()))
        short.append(best - world.gold_score(example.facts, example.label))
    assert min(short) > 0
    # ... and are worth something: not so bad that anything beats them.
    whole = sum(slot.worth for slot in world.slots.values())
    assert 0.2 * whole < np.mean(short) < 0.9 * whole


@pytest.mark.parametrize("task", WORLDS)
def test_the_best_text_names_every_fact(task):
    world, rng = WORLDS[task], np.random.default_rng(1)
    facts = world.generate(rng).facts
    best = " ".join(facts.values())
    for name in facts:
        assert world.gold_score(facts, " ".join(v for k, v in facts.items() if k != name)) < world.gold_score(
            facts, best
        )


@pytest.mark.parametrize("task", WORLDS)
def test_examples_are_well_formed(task):
    world, rng = WORLDS[task], np.random.default_rng(2)
    for example in (world.generate(rng) for _ in range(200)):
        assert example.facts.keys() == world.slots.keys()
        assert all(phrase in world.slots[name].phrases for name, phrase in example.facts.items())
        assert all(type(phrase) is str for phrase in example.facts.values())
        assert example.label == example.label.strip() != ""
        assert example.prompt == example.prompt.rstrip() != ""


def test_a_post_tells_every_fact_and_misleads_too():
    world, rng = WORLDS["tldr"], np.random.default_rng(3)
    misled = 0
    for example in (world.generate(rng) for _ in range(100)):
        assert all(phrase in example.prompt for phrase in example.facts.values())
        others = [p for name, slot in world.slots.items() for p in slot.phrases if p != example.facts[name]]
        misled += any(phrase in example.prompt for phrase in others)
    assert misled == 100


def test_the_example_of_a_score():
    world = World({"person": Slot(2.0, ("sister", "boss"))}, generate=None)
    assert world.gold_score({"person": "boss"}, "My boss did it.") == pytest.approx(1.84)
