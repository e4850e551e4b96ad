"""The acceptance on a GPU: everything that has to be known about this project on one, in one command.

    python -m benchmarks.gpu out=acceptance
    python -m benchmarks.gpu out=acceptance sections=step,sampling shapes=gemma_2b seconds=240
    python -m benchmarks.gpu out=trial device=cpu shapes=toy task.max_new_tokens=8

correctness   the tests of tests/device, which compare the GPU with the processor
step          benchmarks.step, ensembles of five and of one, against TRL
sampling      benchmarks.sampling, against generate
round         benchmarks.round, against TRL's online trainer, with the last shape
grid          figure 1 on the processor's cores, several runs at a time, while seconds are left

out=DIR       folder for the results; may hold those of an earlier run, which are replaced section by section
sections=A,B  sections to run (all)
shapes=A,B    model shapes: gemma_2b, smollm2_135m, qwen3_0_6b, llama3_8b or toy (the first two)
seconds=N     seconds of everything together (460); a command that would go on is ended, and it is said so
device=NAME   cuda or cpu (cuda)
Other keys are overrides of the grid's runs: seed=100, F=2, ...

Models have random weights in real shapes, so nothing is downloaded. Each section is written to DIR/SECTION.json as
soon as a command of the section has ended, and everything that the commands print to DIR/log.txt. What has to be copied
to a machine without network is collected by: sh benchmarks/wheels.sh WHEELS
"""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.acceptance import SECTIONS, SHAPES, TARGETS, Measurement, figures, measurements
from benchmarks.arguments import carry_out
from benchmarks.machine import facts
from benchmarks.random_base import SHAPES as KNOWN
from benchmarks.random_base import write_base
from src.cli.arguments import own_arguments, whole_number
from src.run_folder.identity import git_sha
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError
from src.storage.files import unwritable, write_text

OWN = ("out", "sections", "shapes", "seconds", "device")
ROOT = Path(__file__).parents[1]
ROWS = 400
TOY_SCALE = 0.1
# Seconds that a command may take to end once it is told to.
GRACE_SECONDS = 15.0
# A command is not begun with fewer seconds left.
LEAST_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """The command as read and checked."""

    out: Path
    sections: tuple[str, ...]
    shapes: tuple[str, ...]
    seconds: int
    device: str
    grid: tuple[str, ...]


def read_command(arguments: Sequence[str]) -> Command:
    """Reads the command line.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    own, grid, problems = own_arguments(arguments, OWN)
    seconds, wrong = whole_number(own, "seconds", 460)
    problems += wrong
    chosen = {}
    for key, known, default in (("sections", SECTIONS, SECTIONS), ("shapes", tuple(KNOWN), SHAPES)):
        chosen[key] = tuple(own[key].split(",")) if key in own else default
        problems += [f"{key}={name}: expected some of {', '.join(known)}" for name in chosen[key] if name not in known]
    problems += [
        f"{word}: expected KEY=VALUE, a key of this command or of src.train" for word in grid if "=" not in word
    ]
    device = own.get("device", "cuda")
    try:
        choose_device(device)
    except ValueError as error:
        problems.append(f"{error}; device=cpu tries the command without a GPU")
    if "out" not in own:
        problems.append("out: expected out=DIR, a folder for the results")
    elif reason := unwritable(Path(own["out"]) / "log.txt"):
        problems.append(f"out={own['out']}: {reason}")
    if problems:
        raise ConfigError(problems)
    out = Path(own["out"]).resolve()
    return Command(out, chosen["sections"], chosen["shapes"], seconds, device, tuple(grid))


def finished(measurement: Measurement, seconds: float, log: IO[bytes]) -> tuple[int | None, float]:
    """Runs a command.

    Args:
        seconds: after which the command is ended.
        log: receives everything that the command prints.

    Returns:
        The exit status, None if the command was ended, and the seconds it took.
    """
    started = time.perf_counter()
    log.write(f"\n$ python {' '.join(measurement.words)}\n".encode())
    log.flush()
    process = subprocess.Popen(
        [sys.executable, *measurement.words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    status: int | None = None
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        # sweeps.run keeps the rows of its finished runs, so it is asked first.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return status, time.perf_counter() - started


def result_of(measurement: Measurement, printed: str, out: Path) -> dict[str, Any]:
    """The result of a command that has ended: what it wrote, or what can be read from its output."""
    if measurement.json is not None:
        return dict(json.loads(measurement.json.read_text())) if measurement.json.is_file() else {}
    if measurement.section == "grid":
        # An archive has a line for each run; sweeps.run has closed the file, or left it as it was.
        file = out / "grid.jsonl.gz"
        return {"runs": len(gzip.decompress(file.read_bytes()).splitlines()) if file.is_file() else 0}
    last = printed.rstrip().rpartition("\n")[2]
    counts = {name: int(count) for count, name in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    return {name: counts.get(name, 0) for name in ("passed", "failed", "error", "skipped")} | {"last": last}


def run(command: Command, console: Console) -> dict[str, list[dict[str, Any]]]:
    """Runs the acceptance and writes its results.

    Returns:
        Section -> a record of each of its commands.
    """
    ends = time.perf_counter() + command.seconds
    command.out.mkdir(parents=True, exist_ok=True)
    machine = facts(choose_device(command.device), torch.get_num_threads())
    records: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="bases-") as name, (command.out / "log.txt").open("wb") as log:
        bases = Path(name)
        for one in measurements(command.sections, command.shapes, command.device, bases, command.out, command.grid):
            shape = one.name.split()[0]
            if one.section in ("step", "sampling", "round") and not (bases / shape).exists():
                scale = TOY_SCALE if shape == "toy" else 1.0
                write_base(bases / shape, shape, choose_device(command.device), ROWS, scale)
                if command.device.startswith("cuda"):
                    torch.cuda.empty_cache()
            left = min(one.limit, ends - time.perf_counter())
            record: dict[str, Any] = {"name": one.name, "command": "python " + " ".join(one.words)}
            if left < LEAST_SECONDS:
                record |= {"status": "not begun: no seconds left", "result": {}}
            else:
                start = log.tell()
                status, took = finished(one, left, log)
                printed = (command.out / "log.txt").read_bytes()[start:].decode(errors="replace")
                ended = (
                    f"ended after {took:.0f} s" if status is None else "done" if status == 0 else f"failed ({status})"
                )
                record |= {"status": ended, "seconds": took, "result": result_of(one, printed, command.out)}
                if status != 0:
                    record["printed"] = printed[-4000:]
            records.setdefault(one.section, []).append(record)
            console.print(f"{one.section}, {one.name}: {record['status']}", highlight=False)
            row = {
                "section": one.section,
                "device": command.device,
                "machine": machine,
                "git_sha": git_sha(),
                "measurements": records[one.section],
            }
            write_text(command.out / f"{one.section}.json", json.dumps(row, indent=2) + "\n")
    return records


def show(records: dict[str, list[dict[str, Any]]], console: Console) -> None:
    """Prints a line for each figure: what was found, what is asked, whether it is met."""
    table = Table("section", "of", "figure", "found", "asked", "met", title="benchmarks.gpu")
    for section, measured in records.items():
        for record in measured:
            targets = {target.figure: target for target in TARGETS.get((section, record["name"]), ())}
            found = figures(section, record["result"])
            if record["status"] != "done" or not found:
                table.add_row(section, record["name"], "", record["status"], "", "")
            for name, value in found.items():
                target = targets.get(name)
                asked = f"{'at most' if target.at_most else 'at least'} {target.value:g}" if target else ""
                met = ("yes" if target.met(value) else "no") if target else ""
                table.add_row(section, record["name"], name, f"{value:.4g}", asked, met)
    console.print(table)


def main(arguments: list[str]) -> None:
    """The command, given its arguments."""
    console = Console(soft_wrap=True)
    command = read_command(arguments)
    records = run(command, console)
    show(records, console)
    console.print(f"Written: {command.out}", highlight=False)


if __name__ == "__main__":
    carry_out(__doc__ or "", main)
