"""Whether a run that a scheduler stops and queues again gets anywhere.

A stage that takes longer than the time limit, and keeps nothing until its end, begins anew in every attempt. Without a
check the attempts would go on until somebody looks.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.runtime import processes
from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.signed import read_signed, signed

# An attempt much shorter than the ones before was not ended by the same time limit, but preempted: it may begin again,
# but not for ever.
PART, MOST = 0.5, 3
STUCK = (
    "the attempt before was stopped at the same place: no step, batch of responses, paid answer or SFT policy was "
    "finished in between, and further attempts would end as this one. It is not queued again. Give it more time "
    "(hydra.launcher.timeout_min=MINUTES, or #SBATCH --time) or less work between two stops (model.rows, "
    "model.sft.steps, evaluate.prompts); then the same command goes on"
)


def is_stuck(folder: Path, cache: Path, seconds: float) -> bool:
    """Records how far a run is that a scheduler's signal has stopped.

    Args:
        folder: the run's.
        cache: of SFT policies; a new one counts as progress.
        seconds: how long this attempt has taken.

    Returns:
        Whether the attempt before, of about the same length, was stopped at the same place; or the last `MOST`, of any.
    """
    if not folder.is_dir():
        return False
    # Each process by itself: where a signal stops a run, the others may be gone.
    file = folder / f".stopped_{processes.rank()}.json"
    place, longest, stops = _place(folder, cache), seconds, 1
    before = read_signed(file, "place", "seconds", "stops")
    if before is not None and before["place"] == place:
        longest, stops = max(seconds, before["seconds"]), before["stops"] + 1
    with suppress(RunError):  # a full disk: the message about it comes from what the run writes
        write_text(file, json.dumps(signed({"place": place, "seconds": longest, "stops": stops})) + "\n")
    return stops >= MOST or (stops > 1 and seconds >= PART * longest)


def _place(folder: Path, cache: Path) -> dict[str, Any]:
    """What is there: checkpoints, rounds, batches of responses, paid answers, and the policies in the cache."""
    growing = [*folder.glob("pairs/*.jsonl"), *folder.glob(".evaluating_*"), *folder.glob("answers/*")]
    return {
        "checkpoints": sorted(file.name for file in folder.glob("checkpoint/*.pt")),
        "sizes": {str(file.relative_to(folder)): file.stat().st_size for file in sorted(growing)},
        "cache": sorted(file.name for file in cache.glob("[!.]*") if file.is_dir()) if cache.is_dir() else [],
    }
