"""The algorithm: F rounds of collecting, annotating and learning (Algorithm 1 of arXiv:2406.12168)."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from src.collection.round import CollectionRound
from src.config import EvaluateSpec
from src.evaluation.evaluator import Evaluator
from src.learning.learner import Learner
from src.learning.schedule import round_sizes, split_evenly
from src.models.policy import Policy, Weights
from src.records import Comparison
from src.references.base import Reference
from src.run_folder import checkpoint
from src.run_folder.checkpoint import Progress
from src.run_folder.folder import RunFolder
from src.run_folder.round_files import load_plan, load_round, round_problem, save_plan, save_round
from src.runtime import processes, signals
from src.runtime.errors import RunError
from src.runtime.memory import OutOfMemory, peak_gib
from src.runtime.report import Report
from src.runtime.timing import timed

STAGES = ("time/collect", "time/annotate", "time/reference", "time/learn", "time/evaluate")


@dataclass
class Experiment:
    """One run: its parts, built in `src.build`, and the loop over them.

    Attributes:
        T, F, batch_size: optimizer steps, rounds, pairs a step.
        evaluations: how often on validation during training, and of how many prompts there and at the end.
        checkpoint_every: steps between checkpoints.
        sft: the weights that training starts from.
        final_split: what the last evaluation is made on.
    """

    T: int
    F: int
    batch_size: int
    evaluations: EvaluateSpec
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
            Stopped: if it was asked to leave; the folder then holds a checkpoint of the last step.
        """
        progress, saved = checkpoint.load(
            self.folder.checkpoint, self.policy, self.learner, self.problems, self.report.warn
        )
        self.folder.go_back_to(saved)
        try:
            with signals.deferred():
                self.rounds(progress, time.perf_counter() - progress.seconds)
        except signals.Stopped as stopped:
            self.save(progress)
            stopped.kept = f"{progress.step} of {self.T} steps are in a checkpoint, every collected round in pairs/"
            raise

    def rounds(self, progress: Progress, started: float) -> None:
        """The algorithm, from where `progress` is; `started` is when it began, in seconds of the performance counter.

        Weights, optimizer, progress and rows belong together at every `signals.raise_if_stopped`.
        """
        start = 0
        for number, steps in enumerate(round_sizes(self.T, self.F)):
            if progress.step < start + steps:
                seconds = dict.fromkeys(STAGES, 0.0)
                # Before more is annotated: a row counts what its policy has learned from.
                self.validate_when_due(number, start, progress, seconds)
                pairs = self.pairs(number, start, steps, progress, seconds)
                for step, batch in enumerate(split_evenly(pairs, steps), start):
                    if step < progress.step:
                        continue
                    signals.raise_if_stopped()
                    self.validate_when_due(number, start, progress, seconds)
                    with timed(seconds, "time/learn"), self.naming_checkpoint():
                        metrics = self.learner.step(step, batch)
                    progress.step, progress.seconds = step + 1, time.perf_counter() - started
                    spent = seconds | rates(batch, seconds) | {"memory/peak": peak_gib(self.policy.device)}
                    # From the file, so that a round collected by an earlier attempt has them too.
                    plan = load_plan(self.folder.pairs, number) if step == start else None
                    figures = plan.figures() if plan else {}
                    self.folder.log_metrics({"round": number, "step": step} | metrics | spent | figures)
                    self.report.step(number, step, metrics)
                    seconds = dict.fromkeys(STAGES, 0.0)
                    if progress.step % self.checkpoint_every == 0 or progress.step == self.T:
                        self.save(progress)
            start += steps
        self.finish(progress)

    @processes.by_main
    def save(self, progress: Progress) -> None:
        """Writes a checkpoint, if there is none of this step."""
        if progress.step > checkpoint.newest_step(self.folder.checkpoint):
            checkpoint.save(self.folder.checkpoint, self.policy, self.learner, progress, self.folder.state())

    def problems(self, state: Mapping[str, Any], step: int) -> list[str]:
        """Why a checkpoint of a step cannot be gone on from: rows or pairs before it are not as they were."""
        found, start = self.folder.problems(state), 0
        for number, steps in enumerate(round_sizes(self.T, self.F)):
            if start < step and (problem := self.round_problem(number)):
                found.append(problem)
            start += steps
        return found

    def round_problem(self, number: int) -> str | None:
        """What is wrong with the file of a round."""
        return round_problem(self.folder.pairs, number, self.folder.identity["config_hash"])

    @contextmanager
    def naming_checkpoint(self) -> Iterator[None]:
        """Adds to an error where the run can go on from."""
        try:
            yield
        except processes.Lost:  # says so itself
            raise
        except RunError as error:
            saved = self.folder.checkpoint
            place = (
                f"the last good checkpoint is of step {step} in {saved}, and the same command goes on from it"
                if (step := checkpoint.newest_step(saved))
                else "there is no checkpoint yet, and the same command starts afresh"
            )
            if isinstance(error, OutOfMemory):
                raise OutOfMemory(f"{error}, which makes another run; where there is more memory, {place}") from None
            raise RunError(f"{error}; {place}") from None

    def pairs(
        self, number: int, start: int, steps: int, progress: Progress, seconds: dict[str, float]
    ) -> list[Comparison]:
        """The annotated pairs of a round: from its file where it was collected before, or collected now."""
        problem = self.round_problem(number)
        if progress.step > start:  # the checkpoint was taken for what is in the file
            return load_round(self.folder.pairs, number, self.collect.prompts)[0]
        behavior = self.policy.mean() if start else self.sft
        reference = progress.reference
        if reference is None or progress.reference_step < start:
            since = start - progress.reference_step
            reference = self.reference.weights(self.policy, behavior, self.sft, reference, since)
        tally = replace(progress.tally)
        if problem is None:
            pairs, drawn, tally = load_round(self.folder.pairs, number, self.collect.prompts)
        else:
            if "missing" not in problem:
                self.report.warn(f"{problem}; the round is collected again")
            budget = steps * self.batch_size
            policies = {"behavior": behavior, "reference": reference, "sft": self.sft}
            pairs, drawn, plan = self.collect(number, budget, progress.drawn, tally, policies, seconds)
            if len(pairs) < budget:
                self.report.warn(
                    f"round {number}: {len(pairs)} pairs instead of {budget}; to the other prompts there were no two "
                    "different responses (of the data's own pairs: none within task.max_new_tokens)"
                )
            save_plan(self.folder.pairs, number, plan)
            save_round(self.folder.pairs, number, pairs, drawn, tally, self.folder.identity["config_hash"])
        progress.drawn, progress.tally = drawn, tally
        if self.reference.trails:
            progress.reference, progress.reference_step = reference, start
        return pairs

    def validate_when_due(self, number: int, start: int, progress: Progress, seconds: dict[str, float]) -> None:
        """The evaluation on validation during training, in a round that begins at `start`."""
        step, every = progress.step, self.evaluations.every
        if every and step % every == 0 and step > progress.evaluated:
            with timed(seconds, "time/evaluate"):
                # A row has the round in which the last step was taken.
                round = number - 1 if 0 < step == start else number
                weights = self.policy.mean() if step else self.sft
                self.evaluate(weights, "validation", self.evaluations.validation_prompts, round, progress)
            progress.evaluated = step

    def evaluate(
        self, weights: Weights, split: str, first: int | None, round: int, progress: Progress
    ) -> dict[str, Any]:
        """Evaluates weights on the first prompts of a split (None: all) and appends the row and the samples."""
        who = "the SFT policy" if weights is self.sft else f"step {progress.step}"
        count = len(self.evaluator.prompts[split][:first])
        with self.report.stage(f"evaluating {who} on {split}", count, listed=split == self.final_split) as tick:
            figures, samples = self.evaluator(weights, self.sft, split, first, tick)
        place = {"split": split, "round": round, "step": progress.step}
        paid = self.collect.oracle.spent("oracle") | self.evaluator.judge.spent("judge")
        spent = vars(progress.tally) | paid | {"seconds": progress.seconds}
        self.folder.log_samples([place | sample for sample in samples])
        return self.folder.log_result(place | spent | figures)

    def finish(self, progress: Progress) -> None:
        """The final evaluation, of the SFT policy and the trained one on the same prompts; the saved policy.

        The trained policy's row is the last one, and a run is finished when the checksums of its files are there.
        """
        split, first = self.final_split, self.evaluations.prompts
        sft_row = self.evaluate(self.sft, split, first, -1, Progress())
        self.folder.save_policy(self.policy)
        row = self.evaluate(self.policy.mean(), split, first, self.F - 1, progress)
        self.folder.seal()
        self.report.result(sft_row, row, self.folder.path)


def rates(batch: list[Comparison], seconds: dict[str, float]) -> dict[str, float]:
    """Pairs and tokens (prompt and response, once a response) a second of learning."""
    tokens = sum(len(one.prompt.ids) + len(response.ids) for one in batch for response in one.responses)
    learn = max(seconds["time/learn"], 1e-9)
    return {"pairs_per_second": len(batch) / learn, "tokens_per_second": tokens / learn}
