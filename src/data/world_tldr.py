"""The embedded TL;DR world: a post that complains about somebody, and a hasty summary of it.

A post says who did what and where, how the author feels and what the author wants, in shuffled sentences between
irrelevant remarks. It also names a person who did not do it, a feeling that has passed and a wish of others, so that
copying any phrase of the right kind is not enough. Labels read like a summary by a person in a hurry: they leave facts
out, those of little worth most often, and sometimes name the wrong phrase.
"""

import numpy as np

from src.data.world import Example, Slot, World, another, pick, several

SLOTS = {
    "person": Slot(2.0, ("sister", "brother", "boss", "neighbor", "roommate", "cousin", "teacher", "uncle")),
    "event": Slot(
        2.0,
        (
            "broke my phone",
            "lost my keys",
            "sold my bike",
            "read my letters",
            "forgot my birthday",
            "told my secrets",
            "took my car",
            "ate my lunch",
        ),
    ),
    "wish": Slot(1.5, ("help", "money", "peace", "advice", "revenge", "answers", "justice", "quiet")),
    "feeling": Slot(1.0, ("angry", "sad", "afraid", "guilty", "tired", "lonely", "proud", "calm")),
    "place": Slot(0.5, ("at work", "at school", "at home", "in the park", "on the train", "at a party")),
}
NAMED = {"person": 0.8, "event": 0.9, "wish": 0.6, "feeling": 0.6, "place": 0.4}
WRONG = 0.1
REMARKS = (
    "The weather was cold.",
    "I had soup that day.",
    "The dog was asleep.",
    "Music was playing.",
    "I like old films.",
    "My shoes were wet.",
    "The door is blue.",
    "Sorry for the long post.",
    "I am new here.",
    "The room was dark.",
)
PRESENCE = ("there too", "not there", "kind about it")
BOARDS = ("family", "advice", "work", "stories")


def write_summary(rng: np.random.Generator, facts: dict[str, str], distractors: dict[str, str]) -> str:
    """A summary that names each fact with the probability in NAMED; a named fact is wrong with probability WRONG."""
    said = {
        name: (distractors[name] if rng.random() < WRONG else phrase)
        for name, phrase in facts.items()
        if rng.random() < NAMED[name]
    }
    event = f"My {said['person']}" if "person" in said else "Someone"
    event += f" {said.get('event', 'upset me')}"
    event += f" {said['place']}" if "place" in said else ""
    mood = f"feel {said['feeling']}" if "feeling" in said else ""
    wish = f"want {said['wish']}" if "wish" in said else ""
    rest = " and ".join(part for part in (mood, wish) if part)
    return f"{event}. I {rest}." if rest else f"{event}."


def generate_post(rng: np.random.Generator) -> Example:
    """Draws a post, its summary and its facts."""
    facts = {name: pick(rng, slot.phrases) for name, slot in SLOTS.items()}
    distractors = {name: another(rng, slot, facts[name]) for name, slot in SLOTS.items()}
    sentences = [
        f"My {facts['person']} {facts['event']}.",
        f"It was {facts['place']}.",
        f"My {distractors['person']} was {pick(rng, PRESENCE)}.",
        f"Now I feel {facts['feeling']}.",
        f"At first I was {distractors['feeling']}.",
        f"I want {facts['wish']}.",
        *several(rng, REMARKS, int(rng.integers(1, 3))),
    ]
    if rng.random() < 0.5:
        sentences.append(f"Others want {distractors['wish']}.")
    rng.shuffle(sentences)
    title = f"My {facts['person']} and me" if rng.random() < 0.3 else "What should I do?"
    prompt = f"SUBREDDIT: r/{pick(rng, BOARDS)}\nTITLE: {title}\nPOST: {' '.join(sentences)}\nTL;DR:"
    return Example(prompt=prompt, label=write_summary(rng, facts, distractors), facts=facts)


TLDR = World(slots=SLOTS, generate=generate_post)
