"""The embedded Helpfulness world: a question about cleaning a thing, and an answer from half-remembered advice.

The question does not say how a thing is treated (tool, step, time): the policy must learn it from labels that are often
incomplete and sometimes wrong. The question does say which tool the person has run out of, so that the answer must name
the second-best tool, and hints at who must be kept away from the work.
"""

import numpy as np

from src.data.world import Example, Slot, World, another, pick, several

THINGS = (
    "wool rug",
    "oak table",
    "tin pan",
    "silk shirt",
    "leather bag",
    "glass vase",
    "brick wall",
    "brass lamp",
    "stone floor",
    "paper map",
    "rubber boot",
    "iron gate",
    "cotton sheet",
    "copper pot",
    "clay bowl",
    "steel sink",
)
SLOTS = {
    "tool": Slot(
        2.0, ("vinegar", "soap", "salt", "lemon juice", "baking soda", "warm water", "olive oil", "white chalk")
    ),
    "step": Slot(
        2.0,
        (
            "rub it gently",
            "soak it",
            "brush it hard",
            "wipe it twice",
            "let it dry flat",
            "scrape the edges",
            "shake it outside",
            "cover it",
        ),
    ),
    "time": Slot(1.0, ("one minute", "five minutes", "an hour", "two hours", "one night", "three days")),
    "care": Slot(1.5, ("the child", "the cat", "the dog", "the baby", "your eyes", "the fire")),
}
NAMED = {"tool": 0.85, "step": 0.75, "time": 0.6, "care": 0.55}
WRONG = 0.15
CATCHES = {
    "the child": ("My son helps me.", "My daughter is four."),
    "the cat": ("I have a kitten.", "Tom purrs all day."),
    "the dog": ("Rex likes to watch.", "We have a puppy."),
    "the baby": ("We have a newborn.", "Someone is in the crib."),
    "your eyes": ("It splashes a lot.", "I wear no glasses."),
    "the fire": ("The stove is on.", "I light candles."),
}
REMARKS = (
    "It was a gift.",
    "I am in no hurry.",
    "My aunt is coming soon.",
    "It is quite old.",
    "I tried before.",
    "It looks sad.",
    "The shop was closed.",
    "Nobody else knows.",
)
QUESTIONS = ("How do I clean", "What is good for", "Can I save")
OPENERS = ("", "Hi! ", "Please help. ", "Hello, a question. ")


def _recipes() -> dict[str, tuple[str, str, str, str]]:
    """Best tool, second-best tool, step and time for each thing: the same in every run, whatever its seeds."""
    rng = np.random.default_rng(2406_12168)
    recipes = {}
    for thing in THINGS:
        best, second = rng.choice(SLOTS["tool"].phrases, size=2, replace=False)
        step, time = rng.choice(SLOTS["step"].phrases), rng.choice(SLOTS["time"].phrases)
        recipes[thing] = (str(best), str(second), str(step), str(time))
    return recipes


RECIPES = _recipes()


def write_answer(rng: np.random.Generator, facts: dict[str, str]) -> str:
    """An answer that names each fact with the probability in NAMED; a named fact is wrong with probability WRONG."""
    said = {
        name: (another(rng, SLOTS[name], phrase) if rng.random() < WRONG else phrase)
        for name, phrase in facts.items()
        if rng.random() < NAMED[name]
    }
    does = [f"use {said['tool']}"] if "tool" in said else []
    if "step" in said:
        does.append(said["step"])
    first = " and ".join(does) or "try what you have"
    first += f" for {said['time']}" if "time" in said else ""
    opener = "You can" if rng.random() < 0.5 else "Just"
    care = f" Mind {said['care']}." if "care" in said else ""
    return f"{opener} {first}.{care}"


def generate_question(rng: np.random.Generator) -> Example:
    """Draws a question, its answer and its facts."""
    thing = pick(rng, THINGS)
    best, second, step, time = RECIPES[thing]
    care = pick(rng, SLOTS["care"].phrases)
    ran_out = rng.random() < 0.4
    facts = {"tool": second if ran_out else best, "step": step, "time": time, "care": care}
    context = [pick(rng, CATCHES[care]), *several(rng, REMARKS, int(rng.integers(1, 4)))]
    if ran_out:
        context.append(f"I have no {best}.")
    elif rng.random() < 0.5:
        context.append(f"I have no {another(rng, SLOTS['tool'], best)}.")
    rng.shuffle(context)
    ask = pick(rng, QUESTIONS)
    prompt = f"{pick(rng, OPENERS)}{ask} a {thing}? {' '.join(context)} Assistant:"
    return Example(prompt=prompt, label=write_answer(rng, facts), facts=facts)


HELPFULNESS = World(slots=SLOTS, generate=generate_question)
