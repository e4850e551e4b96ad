"""The algorithm: F rounds of collecting, annotating and learning (Algorithm 1 of arXiv:2406.12168).

    for every round:
        behavior  <- policy                                    the SFT policy in the first round
        pairs     <- two responses of behavior to each prompt, one of them preferred by the oracle
        reference <- behavior                                  BPO; online DPO keeps the SFT policy
        for T / F steps:
            policy <- a gradient step on loss(policy, reference; pairs)

`Experiment.run_rounds` and `collect_or_load` are these lines. What follows them lets a run stop and go on.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from src.collection.round import CollectionRound
from src.config import EvaluateSpec
from src.evaluation.evaluator import Evaluator
from src.learning.learner import Learner
from src.learning.metrics import rates
from src.learning.schedule import Round, rounds, split_evenly
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
from src.runtime.stopwatch import Stopwatch

STAGES = ("time/collect", "time/annotate", "time/reference", "time/learn", "time/evaluate")


@dataclass
class Experiment:
    """One run: the parts that `src.build` puts together, and the loop over them.

    Attributes:
        T, F, batch_size: optimizer steps, rounds, pairs a step.
        evaluations: steps between evaluations on validation, and numbers of prompts.
        checkpoint_every: steps between checkpoints.
        sft: weights of the SFT policy, from which training starts.
        final_split: the split of the last evaluation.
    """

    T: int
    F: int
    batch_size: int
    evaluations: EvaluateSpec
    checkpoint_every: int
    policy: Policy
    sft: Weights
    reference: Reference
    collection: CollectionRound
    learner: Learner
    evaluator: Evaluator
    final_split: str
    folder: RunFolder
    report: Report

    def run(self) -> None:
        """Runs all rounds, or the remaining ones of a stopped run, and the final evaluation.

        Raises:
            RunError: if the run cannot go on; the folder then holds the last checkpoint.
            Stopped: after SIGTERM, SIGINT or a scheduler's signal; the folder then holds a checkpoint of the last step.
        """
        progress, saved = checkpoint.load(
            self.folder.checkpoint, self.policy, self.learner, self.problems, self.report.warn
        )
        self.folder.go_back_to(saved)
        try:
            with signals.deferred():
                self.run_rounds(progress, started=time.perf_counter() - progress.seconds)
        except signals.Stopped as stopped:
            self.save(progress)
            stopped.kept = f"{progress.step} of {self.T} steps are in a checkpoint, all that was sampled in pairs/"
            raise

    def run_rounds(self, progress: Progress, started: float) -> None:
        """Algorithm 1, from where `progress` is. Weights, optimizer, progress and rows agree wherever a run may stop.

        Args:
            started: when the run began, in seconds of `time.perf_counter`.
        """
        watch = Stopwatch(STAGES)
        for round in rounds(self.T, self.F):
            if progress.step >= round.start + round.steps:
                continue
            # Before more pairs are annotated: a row counts the pairs that its policy has learned from.
            self.validate_when_due(round, progress, watch)
            pairs = self.collect_or_load(round, progress, watch)
            for step, batch in enumerate(split_evenly(pairs, round.steps), round.start):
                if step < progress.step:
                    continue
                signals.raise_if_stopped()
                self.validate_when_due(round, progress, watch)
                with watch.stage("time/learn"), self.naming_checkpoint():
                    metrics = self.learner.step(step, batch)
                progress.step, progress.seconds = step + 1, time.perf_counter() - started
                self.log_step(round, step, batch, metrics, watch.lap())
                if progress.step % self.checkpoint_every == 0 or progress.step == self.T:
                    self.save(progress)
        self.finish(progress)

    def collect_or_load(self, round: Round, progress: Progress, watch: Stopwatch) -> list[Comparison]:
        """The annotated pairs of a round with their log-probs: collected now, or read where they were collected before.

        Every pair carries its log-probs under the behavior policy, the reference and the SFT policy, so that no
        reference is needed while learning.
        """
        if progress.step > round.start:  # the checkpoint vouches for the file
            return load_round(self.folder.pairs, round.number, self.collection.prompts)[0]
        behavior = self.policy.mean() if round.start else self.sft
        reference = self.refresh_reference(round, behavior, progress)
        problem = self.round_problem(round.number)
        if problem is None:
            stored = load_round(self.folder.pairs, round.number, self.collection.prompts)
            comparisons, progress.drawn, progress.tally = stored
            return comparisons
        if "missing" not in problem:
            self.report.warn(f"{problem}; the round is collected again")
        budget = round.steps * self.batch_size
        kept = self.folder.collecting(round.number, self.collection.engine, self.report.warn)
        collected = self.collection.collect(round.number, budget, progress.drawn, behavior, watch, kept)
        policies = {"behavior": behavior, "reference": reference, "sft": self.sft}
        collected = self.collection.score(round.number, collected, policies, watch)
        if len(collected.comparisons) < budget:
            self.report.warn(
                f"round {round.number}: {len(collected.comparisons)} pairs instead of {budget}; the remaining prompts "
                "gave no two distinct responses (with collect=dataset: no pair within task.max_new_tokens)"
            )
        tally, identity = progress.tally + collected.tally, self.folder.identity["config_hash"]
        save_plan(self.folder.pairs, round.number, collected.plan)
        says = self.evaluator.template.continuation
        save_round(self.folder.pairs, round.number, collected.comparisons, collected.drawn, tally, identity, says)
        progress.drawn, progress.tally = collected.drawn, tally
        return collected.comparisons

    def refresh_reference(self, round: Round, behavior: Weights, progress: Progress) -> Weights:
        """The reference policy of a round, which `reference=behavior` (BPO) sets to the behavior policy."""
        if progress.reference is not None and progress.reference_step == round.start:
            return progress.reference
        steps = round.start - progress.reference_step
        reference = self.reference.weights(self.policy, behavior, self.sft, progress.reference, steps)
        if self.reference.trails:
            progress.reference, progress.reference_step = reference, round.start
        return reference

    def validate_when_due(self, round: Round, progress: Progress, watch: Stopwatch) -> None:
        """The evaluation on validation, every `evaluations.every` steps."""
        step, every = progress.step, self.evaluations.every
        if every and step % every == 0 and step > progress.evaluated:
            with watch.stage("time/evaluate"):
                # A row has the round in which its last step was taken.
                number = round.number - 1 if 0 < step == round.start else round.number
                weights = self.policy.mean() if step else self.sft
                row = self.evaluate(weights, "validation", self.evaluations.validation_prompts, 1, number, progress)
            self.report.validated(row)
            progress.evaluated = step

    def evaluate(
        self, weights: Weights, split: str, first: int | None, samples: int, number: int, progress: Progress
    ) -> dict[str, Any]:
        """Evaluates weights on the first prompts of a split (None: all), with so many responses a prompt; appends the
        samples and the row, and returns the row."""
        step = None if weights is self.sft else progress.step
        who = "the SFT policy" if step is None else f"step {step}"
        batches = self.folder.evaluating(split, step, number, self.report.warn)
        count = len(self.evaluator.prompts[split][:first])
        with self.report.stage(f"evaluating {who} on {split}", count, listed=split == self.final_split) as tick:
            figures, rows = self.evaluator.evaluate(weights, self.sft, split, first, samples, tick, batches)
        position = {"split": split, "round": number, "step": progress.step}
        paid = self.collection.oracle.spent("oracle") | self.evaluator.judge.spent("judge")
        spent = vars(progress.tally) | paid | {"seconds": progress.seconds}
        self.folder.log_samples([position | row for row in rows])
        row = self.folder.log_result(position | spent | figures)
        batches.remove()
        return row

    def finish(self, progress: Progress) -> None:
        """Scores pairs again, evaluates SFT policy and trained policy on the same prompts, and saves the policy.

        The trained policy's row is the last one. A run is finished when the checksums of its files are written.
        """
        split, first, samples = self.final_split, self.evaluations.prompts, self.evaluations.samples
        trained = self.policy.mean()
        self.collection.rescore(self.folder.pairs, self.F, trained)
        sft_row = self.evaluate(self.sft, split, first, samples, -1, Progress())
        self.folder.save_policy(self.policy)
        row = self.evaluate(trained, split, first, samples, self.F - 1, progress)
        self.folder.seal()
        self.report.result(sft_row, row, self.folder.path)

    def log_step(
        self, round: Round, step: int, batch: list[Comparison], metrics: dict[str, Any], seconds: dict[str, float]
    ) -> None:
        """Appends a step's row; the first row of a round says how its budget was allocated."""
        spent = {stage: seconds[stage] for stage in STAGES}
        spent |= rates(batch, seconds["time/learn"]) | {"memory/peak": peak_gib(self.policy.device)}
        # From the file: an earlier attempt may have collected the round.
        plan = load_plan(self.folder.pairs, round.number) if step == round.start else None
        figures = plan.figures() if plan else {}
        self.folder.log_metrics({"round": round.number, "step": step} | metrics | spent | figures)
        self.report.step(round.number, step, metrics)

    @processes.by_main
    def save(self, progress: Progress) -> None:
        """Writes a checkpoint, unless there is one of this step."""
        if progress.step > checkpoint.newest_step(self.folder.checkpoint):
            checkpoint.save(self.folder.checkpoint, self.policy, self.learner, progress, self.folder.state())

    def problems(self, state: Mapping[str, Any], step: int) -> list[str]:
        """Why a run cannot go on from a checkpoint of a step: rows or pairs before that step have changed."""
        started = [round for round in rounds(self.T, self.F) if round.start < step]
        damaged = (self.round_problem(round.number) for round in started)
        return self.folder.problems(state) + [problem for problem in damaged if problem]

    def round_problem(self, number: int) -> str | None:
        """Why the pairs of a round cannot be read, or None if they can."""
        return round_problem(self.folder.pairs, number, self.folder.identity["config_hash"])

    @contextmanager
    def naming_checkpoint(self) -> Iterator[None]:
        """Adds to an error the step from which the run can go on."""
        try:
            yield
        except processes.Lost:  # names the step itself
            raise
        except RunError as error:
            saved = self.folder.checkpoint
            resumes = (
                f"the last good checkpoint is of step {step} in {saved}, and the same command goes on from it"
                if (step := checkpoint.newest_step(saved))
                else "there is no checkpoint yet, and the same command starts afresh"
            )
            if isinstance(error, OutOfMemory):
                raise OutOfMemory(f"{error}, which makes another run; where there is more memory, {resumes}") from None
            raise RunError(f"{error}; {resumes}") from None
