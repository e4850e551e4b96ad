"""A job and a run at about the paper's sizes."""

from benchmarks.planning.architecture import KNOWN
from benchmarks.planning.hardware import PRESETS
from benchmarks.planning.job import Job, Sizes
from benchmarks.planning.stages import Run

SIZES = Sizes(prompt=100, response=30, limit=40)
JOB = Job(
    KNOWN["gemma_2b"], PRESETS["h100"], 1, members=5, rank=256, weight_bytes=2, rows=64, tokens=8192, recomputes=False
)
RUN = Run(64, 2, 16, "behavior", False, True, 16, 40, 100, 16, 304e6, 304e6, 10, 8, SIZES)
