"""What the acceptance on a GPU measures, in which order, and what is asked of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = ("correctness", "step", "sampling", "round", "grid")
# Shapes by default: the model of the targets first, so that a run cut off has measured what counts.
SHAPES = ("gemma_2b", "smollm2_135m")
# Shape -> the conf/model whose adapters and settings it takes, and what is changed; others take the one of their name.
MODELS = {"toy": ("smollm2_135m", ("model.lora.rank=4",)), "llama3_8b": ("gemma_2b", ("model.name=llama3_8b",))}
# Pairs of a step and a round, prompts of sampling.
PAIRS = {"step": 16, "sampling": 64, "round": 16}
TOY_PAIRS = 2
# Most seconds of one command.
LIMITS = {"correctness": 100.0, "step": 150.0, "sampling": 75.0, "round": 90.0, "grid": 240.0}


@dataclass(frozen=True)
class Measurement:
    """One command of the acceptance.

    Attributes:
        name: within its section.
        words: arguments of Python.
        json: file that the command writes its result to; None: its exit status and output are the result.
        limit: most seconds it may take.
    """

    section: str
    name: str
    words: tuple[str, ...]
    json: Path | None
    limit: float


@dataclass(frozen=True)
class Target:
    """What is asked of a figure: at least, or at most, `value`."""

    figure: str
    value: float
    at_most: bool = False

    def met(self, found: float) -> bool:
        """Whether a figure meets the target."""
        return found <= self.value if self.at_most else found >= self.value


# (section, name) -> what is asked there, in bfloat16 on an H100 (benchmarks/README.md).
TARGETS = {
    ("step", "gemma_2b ensemble=5"): (
        Target("ratio_trl_precomputed", 2.5),
        Target("rate_share", 0.4),
        Target("peak_of_trl", 0.2, at_most=True),
    ),
    ("sampling", "gemma_2b"): (Target("ratio_generate", 3.0),),
    ("round", "smollm2_135m"): (Target("ratio_trl_online", 3.0),),
}
# Figures of the table, beside those with a target.
SHOWN = {
    "correctness": ("passed", "failed"),
    "step": ("ratio_trl", "ratio_trl_precomputed", "ratio_sequential", "rate_share", "seconds", "peak_of_trl"),
    "sampling": ("ratio_generate", "ratio_generate_ends", "tokens_per_second"),
    "round": ("ratio_trl_online", "pairs_per_second"),
    "grid": ("runs",),
}


def measurements(
    sections: Sequence[str], shapes: Sequence[str], device: str, bases: Path, out: Path, grid: Sequence[str]
) -> list[Measurement]:
    """The commands of the acceptance, in their order: section by section, the most important first.

    Args:
        sections: names of `SECTIONS`.
        shapes: names of `benchmarks.random_base.SHAPES`.
        device: cpu or cuda.
        bases: folder with a base of each shape.
        out: folder of the acceptance.
        grid: overrides of the runs of the grid.
    """
    of_section = {
        "correctness": [_tests(device)],
        "step": [_bench("step", shape, device, bases, ensemble) for ensemble in (5, 1) for shape in shapes],
        "sampling": [_bench("sampling", shape, device, bases) for shape in shapes],
        "round": [_bench("round", shape, device, bases) for shape in shapes[-1:]],
        "grid": [_grid(out, grid)],
    }
    return [one for section in SECTIONS if section in sections for one in of_section[section]]


def _tests(device: str) -> Measurement:
    marked = "gpu" if device.startswith("cuda") else "not gpu"
    words = ("-m", "pytest", "tests/device", "-m", marked, "-p", "no:cacheprovider", "--tb=short")
    return Measurement("correctness", "pytest", words, None, LIMITS["correctness"])


def _bench(section: str, shape: str, device: str, bases: Path, ensemble: int = 1) -> Measurement:
    model, changes = MODELS.get(shape, (shape, ()))
    pairs = TOY_PAIRS if shape == "toy" else PAIRS[section]
    name = f"{shape} ensemble={ensemble}" if section == "step" else shape
    file = bases / f"{section}-{name.replace(' ', '-')}.json"
    base = bases / shape
    words = (
        "-m", f"benchmarks.{section}", f"model={model}", f'model.path="{base}"', "model.template=plain", *changes,
        f'data.path="{base}/rows.jsonl"', "data.split=[0.9,0.1]", f"device={device}", f"pairs={pairs}",
        f"ensemble={ensemble}", "repeats=3", "warmup=1", f"json={file}", f'cache="{bases}/cache"',
    )  # fmt: skip
    if section == "round":
        words = (*words, "as_it_comes=false", "reference.from_sampling=true")
    if section in ("step", "round") and shape != "toy":
        words = (*words, "precision=bfloat16")
    return Measurement(section, name, words, file, LIMITS[section])


def _grid(out: Path, overrides: Sequence[str]) -> Measurement:
    words = (
        "-m", "sweeps.run", "sweeps/fig1.yaml", *overrides, "device=cpu", "--results", str(out / "grid.jsonl.gz"),
        "--rows-only", f'hydra.sweep.dir="{out}/runs"',
    )  # fmt: skip
    return Measurement("grid", "figure 1", words, None, LIMITS["grid"])


def figures(section: str, result: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a result that the table shows."""
    found = dict(result)
    if section == "step" and (share := peak_of_trl(result)) is not None:
        found["peak_of_trl"] = share
    return {name: float(found[name]) for name in SHOWN[section] if isinstance(found.get(name), int | float)}


def peak_of_trl(result: Mapping[str, Any]) -> float | None:
    """Our peak memory in a learning step relative to TRL's with a precomputed reference; None if TRL did not run."""
    peaks: dict[str, list[int]] = {}
    for side in result.get("sides", ()):
        peaks.setdefault(side["side"], []).extend(turn["peak_bytes"] for turn in side["turns"])
    if not peaks.get("TRL, precomputed") or not peaks.get("ours"):
        return None
    return statistics.median(peaks["ours"]) / statistics.median(peaks["TRL, precomputed"])
