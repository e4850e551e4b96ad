"""The stage that a run is in, seen from another process."""

import mmap
import struct
import time
from typing import Any

STAGES = (
    "getting ready",
    "SFT",
    "collection",
    "annotation",
    "reference scoring",
    "learning",
    "evaluation",
    "checkpointing",
    "final write",
)


class Watch:
    """The current stage and the number of stages entered, in memory that parent and child processes share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 16)

    def now(self) -> tuple[int, int]:
        """The index of the current stage in `STAGES` (-1: the run has not begun), and how many stages were entered."""
        return struct.unpack("qq", self._shared[:16])

    def set(self, stage: int, entered: int) -> None:
        """Sets the current stage and the number of stages entered."""
        self._shared[:16] = struct.pack("qq", stage, entered)

    def mark(self, owner: Any, name: str, stage: str, wait: float = 0.0) -> None:
        """Wraps a function so that it sets its stage while it runs.

        Args:
            owner: module or class that has the function.
            name: the function's name.
            wait: seconds added to the function, for a stage that is too short to be hit.
        """
        real, number = getattr(owner, name), STAGES.index(stage)

        def marked(*args: Any, **kwargs: Any) -> Any:
            before, entered = self.now()
            self.set(number, entered + 1)
            if wait:
                time.sleep(wait)
            try:
                return real(*args, **kwargs)
            finally:
                self.set(before, self.now()[1])

        setattr(owner, name, marked)

    def mark_all(self) -> None:
        """Marks every stage of the runs of this process."""
        from src.collection import policy_offer
        from src.collection.round import CollectionRound
        from src.collection.sampled_pairs import SamplingCollector
        from src.evaluation.evaluator import Evaluator
        from src.learning import sft_cache
        from src.learning.learner import Learner
        from src.run_folder import checkpoint
        from src.run_folder.folder import RunFolder

        self.set(0, 0)
        self.mark(sft_cache, "finetune", "SFT")
        self.mark(SamplingCollector, "collect", "collection")
        self.mark(policy_offer, "label", "annotation", wait=0.01)
        self.mark(CollectionRound, "score", "reference scoring")
        self.mark(Learner, "step", "learning")
        self.mark(Evaluator, "evaluate", "evaluation")
        self.mark(checkpoint, "save", "checkpointing")
        self.mark(RunFolder, "save_policy", "final write")
        self.mark(RunFolder, "seal", "final write")
