"""The configuration of a command on saved policies: the run's own, overridden by what the user typed."""

from collections.abc import Sequence

from src.after_training.base_model import settings_with_base
from src.after_training.saved_policy import SavedPolicy
from src.cli.compose import Job, compose_one
from src.cli.read_config import read_config
from src.cli.taken import Taken
from src.config import RunConfig


def compose_over_run(
    arguments: Sequence[str],
    saved: SavedPolicy | None,
    base: str | None,
    keys: Sequence[str],
    own: Sequence[str],
    checked: Sequence[str] | None = None,
) -> tuple[RunConfig | None, Job, list[str]]:
    """Composes and checks the configuration of a command.

    Args:
        arguments: the command without its own keys.
        saved: a policy whose run supplies the configuration; without a run, conf/train.yaml supplies it.
        base: the value of `base=`.
        keys: the keys of conf/train.yaml that the command takes.
        own: the command's own keys, for messages about mistyped keys.
        checked: those of `keys` whose values have to be valid; None for all.

    Returns:
        The configuration, or None if it cannot run; the composed job; and the problems, a line each.
    """
    run = saved.run if saved else None
    checked = keys if checked is None else checked
    job = compose_one(
        arguments,
        Taken(
            # An experiment is a choice of values for a whole run, so it cannot be typed over a run.
            keys=tuple(keys) if run else (*keys, "experiment"),
            checked=tuple(checked),
            own=tuple(own),
            saved=settings_with_base(saved, base) if saved else None,
            saved_data=saved.facts().get("data", "embedded") if saved else "embedded",
        ),
    )
    about = f"with the configuration of {run}: " if run else ""
    problems = [about + line for line in job.problems]
    return read_config(job.plain, checked)[0] if job.plain else None, job, problems
