"""`data=embedded`: a task generated from a seed, without files or network, and with an exact gold score."""

from dataclasses import dataclass
from typing import ClassVar

from src.data.splits import Splits
from src.data.world import World
from src.data.world_helpfulness import HELPFULNESS
from src.data.world_tldr import TLDR
from src.records import Row
from src.runtime.errors import require
from src.runtime.seeding import numpy_stream

WORLDS: dict[str, World] = {"tldr": TLDR, "helpfulness": HELPFULNESS}


@dataclass(frozen=True)
class EmbeddedData:
    """Rows drawn from a generated world, all with different prompts.

    Args:
        train, validation, test: rows of each split, 1 to 20,000.
        seed: seed of the examples. Not the run's seed, so that runs with different seeds see the same data.
    """

    train: int
    validation: int
    test: int
    seed: int
    has_gold_score: ClassVar[bool] = True
    has_preferences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("train", "validation", "test")}
        require(*((1 <= size <= 20_000, f"{name}={size}: expected 1 to 20000 rows") for name, size in sizes.items()))

    def problems(self, task: str) -> list[str]:
        """Why the data cannot serve a task; empty if it can."""
        known = ", ".join(WORLDS)
        return [] if task in WORLDS else [f"task={task}: the embedded data has {known}; use data=files for {task}"]

    def load(self, task: str) -> Splits:
        """Generates the splits of a task."""
        world = WORLDS[task]
        taken: set[str] = set()
        splits: dict[str, list[Row]] = {}
        # A stream for each split: a larger test split leaves the other splits, and its own first rows, as they are.
        for name in ("train", "validation", "test"):
            rng = numpy_stream(self.seed, "embedded", task, name)
            splits[name] = []
            while len(splits[name]) < getattr(self, name):
                example = world.generate(rng)
                if example.prompt not in taken:
                    taken.add(example.prompt)
                    splits[name].append(Row(example.prompt, example.label, example.facts))
        return Splits(**splits, world=world)

    def rows(self, task: str) -> Splits:
        """The same splits as `load`: no prompt is generated twice."""
        return self.load(task)
