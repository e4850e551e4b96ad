"""The algorithm: F rounds of collecting, annotating and learning (Algorithm 1 of arXiv:2406.12168)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from src import checkpoint
from src.checkpoint import Progress
from src.clock import timed
from src.collection_round import CollectionRound
from src.errors import RunError
from src.evaluator import Evaluator
from src.learner import Learner
from src.memory import peak_gib
from src.models.policy import Policy, Weights
from src.pairs import load_plan, load_round, save_plan, save_round
from src.records import Comparison
from src.references.base import Reference
from src.report import Report
from src.run_folder import RunFolder
from src.schedule import round_sizes, split_evenly

STAGES = ("time/collect", "time/annotate", "time/reference", "time/learn", "time/evaluate")


@dataclass
class Experiment:
    """One run: its parts, built in `src.build`, and the loop over them.

    Attributes:
        T, F, batch_size: optimizer steps, rounds, pairs a step.
        evaluate_every: steps between evaluations on validation; 0 for none.
        checkpoint_every: steps between checkpoints.
        sft: the weights that training starts from.
        final_split: what the last evaluation is made on.
    """

    T: int
    F: int
    batch_size: int
    evaluate_every: int
    checkpoint_every: int
    policy: Policy
    sft: Weights
    reference: Reference
    collect: CollectionRound
    learner: Learner
    evaluator: Evaluator
    final_split: str
    folder: RunFolder
    report: Report

    def run(self) -> None:
        """Runs all rounds, or those that are left, and the final evaluation.

        Raises:
            RunError: if the run cannot go on; the folder then holds the last checkpoint.
        """
        started = time.perf_counter()
        progress = checkpoint.load(self.folder.checkpoint, self.policy, self.learner)
        self.folder.forget_after(progress.step, self.T)
        started -= progress.seconds
        if self.evaluate_every and progress.step == 0:
            self.evaluate(self.sft, "validation", 0, progress)
        start = 0
        for number, steps in enumerate(round_sizes(self.T, self.F)):
            if progress.step < start + steps:
                seconds = dict.fromkeys(STAGES, 0.0)
                pairs = self.pairs(number, start, steps, progress, seconds)
                for step, batch in enumerate(split_evenly(pairs, steps), start):
                    if step < progress.step:
                        continue
                    with timed(seconds, "time/learn"), self.naming_checkpoint():
                        metrics = self.learner.step(step, batch)
                    progress.step, progress.seconds = step + 1, time.perf_counter() - started
                    if self.evaluate_every and progress.step % self.evaluate_every == 0 and progress.step < self.T:
                        with timed(seconds, "time/evaluate"):
                            self.evaluate(self.policy.mean(), "validation", number, progress)
                    spent = seconds | rates(batch, seconds) | {"memory/peak": peak_gib(self.policy.device)}
                    # From the file, so that a round collected by an earlier attempt has them too.
                    plan = load_plan(self.folder.pairs, number) if step == start else None
                    figures = plan.figures() if plan else {}
                    self.folder.log_metrics({"round": number, "step": step} | metrics | spent | figures)
                    self.report.step(number, step, metrics)
                    seconds = dict.fromkeys(STAGES, 0.0)
                    if progress.step % self.checkpoint_every == 0 or progress.step == self.T:
                        checkpoint.save(self.folder.checkpoint, self.policy, self.learner, progress)
            start += steps
        self.finish(progress)

    @contextmanager
    def naming_checkpoint(self) -> Iterator[None]:
        """Adds to an error where the run can go on from."""
        try:
            yield
        except RunError as error:
            saved = self.folder.checkpoint
            place = (
                f"the last good checkpoint is {saved}, and the same command goes on from it"
                if saved.is_dir()
                else "there is no checkpoint yet, and the same command starts afresh"
            )
            raise RunError(f"{error}; {place}") from None

    def pairs(
        self, number: int, start: int, steps: int, progress: Progress, seconds: dict[str, float]
    ) -> list[Comparison]:
        """The annotated pairs of a round: from its file where it was collected before, or collected now."""
        saved = load_round(self.folder.pairs, number, self.collect.prompts)
        if progress.step > start:
            if saved is None:
                raise RunError(
                    f"step {progress.step} needs the pairs of round {number}, and {self.folder.pairs} lacks them; "
                    "force=true starts the run afresh"
                )
            return saved[0]
        behavior = self.policy.mean() if start else self.sft
        since = start - progress.reference_step
        reference = self.reference.weights(self.policy, behavior, self.sft, progress.reference, since)
        if self.reference.trails:
            progress.reference, progress.reference_step = reference, start
        if saved is not None:
            pairs, progress.drawn, progress.tally = saved
            return pairs
        budget = steps * self.batch_size
        policies = {"behavior": behavior, "reference": reference, "sft": self.sft}
        tally = replace(progress.tally)
        pairs, drawn, plan = self.collect(number, budget, progress.drawn, tally, policies, seconds)
        if len(pairs) < budget:
            self.report.warn(
                f"round {number}: {len(pairs)} pairs instead of {budget}; to the other prompts there were no two "
                "different responses"
            )
        save_plan(self.folder.pairs, number, plan)
        save_round(self.folder.pairs, number, pairs, drawn, tally)
        progress.drawn, progress.tally = drawn, tally
        return pairs

    def evaluate(self, weights: Weights, split: str, round: int, progress: Progress) -> dict[str, Any]:
        """Evaluates weights on a split and appends the row and the samples."""
        who = "the SFT policy" if weights is self.sft else f"step {progress.step}"
        count = len(self.evaluator.prompts[split])
        with self.report.stage(f"evaluating {who} on {split}", count, listed=split == self.final_split) as tick:
            figures, samples = self.evaluator(weights, self.sft, split, tick)
        place = {"split": split, "round": round, "step": progress.step}
        paid = self.collect.oracle.spent("oracle") | self.evaluator.judge.spent("judge")
        spent = vars(progress.tally) | paid | {"seconds": progress.seconds}
        self.folder.log_samples([place | sample for sample in samples])
        return self.folder.log_result(place | spent | figures)

    def finish(self, progress: Progress) -> None:
        """The final evaluation, of the SFT policy and the trained one on the same prompts; the saved policy.

        The trained policy's row is written last: a run is finished when it is there.
        """
        sft_row = self.evaluate(self.sft, self.final_split, -1, Progress())
        self.folder.save_policy(self.policy)
        row = self.evaluate(self.policy.mean(), self.final_split, self.F - 1, progress)
        self.folder.drop_checkpoint()
        self.report.result(sft_row, row, self.folder.path)


def rates(batch: list[Comparison], seconds: dict[str, float]) -> dict[str, float]:
    """Pairs and tokens (prompt and response, once a response) a second of learning."""
    tokens = sum(len(one.prompt.ids) + len(response.ids) for one in batch for response in one.responses)
    learn = max(seconds["time/learn"], 1e-9)
    return {"pairs_per_second": len(batch) / learn, "tokens_per_second": tokens / learn}
