"""What Slurm says of its queue. Every function asks a command of Slurm's, and needs no accounting."""

import getpass
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

# Seconds that a command of Slurm's may take.
PATIENCE = 60.0


@dataclass(frozen=True)
class Queued:
    """A job in the queue: its state, and why it is pending."""

    state: str
    reason: str


def queue() -> dict[str, Queued] | None:
    """The user's jobs that are pending or running, by id (tasks of an array: ARRAY_TASK); None if Slurm cannot say."""
    output = _ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i|%T|%r")
    if output is None:
        return None
    rows = [line.strip().split("|") for line in output.splitlines() if line.count("|") == 2]
    return {id: Queued(state, reason) for id, state, reason in rows}


def last_state(job_id: str) -> str:
    """The state in which a job has ended, "CANCELLED" for example; empty if Slurm no longer knows."""
    output = _ask("scontrol", "--oneliner", "show", "job", job_id) or ""
    if state := re.search(r"\bJobState=(\w+)", output):
        return state[1]
    output = _ask("sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={job_id}", "--format=State") or ""
    return next(iter(output.split()), "")


def cancel(job_ids: Sequence[str]) -> None:
    """Cancels jobs; those that have ended are left alone."""
    if job_ids:
        _ask("scancel", *job_ids)


def partition_minutes(partition: str | None) -> tuple[str, int] | None:
    """A partition's name and its time limit in minutes; None if it has no limit, or Slurm cannot say.

    Args:
        partition: None for the default one. Of several, "a,b", the longest limit counts.
    """
    chosen = [f"--partition={partition}"] if partition else []
    output = _ask("sinfo", "--noheader", *chosen, "--format=%P|%l") or ""
    rows = [line.strip().split("|") for line in output.splitlines() if line.count("|") == 1]
    limits = {name: minutes(limit) for name, limit in rows if partition or name.endswith("*")}
    if not limits or None in limits.values():
        return None
    longest = max(limits, key=lambda name: limits[name] or 0)
    return longest.rstrip("*"), limits[longest] or 0


def minutes(limit: str) -> int | None:
    """Whole minutes of a time as Slurm prints it (D-HH:MM:SS, HH:MM:SS, MM:SS); None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, whole, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + whole


def _ask(*command: str) -> str | None:
    """What a command prints; None if it is not there, fails, or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
