"""Run folders as `src.train` leaves them, made up."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

IDENTITY: dict[str, Any] = {
    "schema_version": 2, "run_id": "run", "config_hash": "0", "git_sha": "abc", "task": "tldr", "data": "embedded",
    "model": "tiny", "loss": "dpo", "reference": "behavior", "F": 2, "T": 64, "batch_size": 32, "ensemble": 1,
    "allocation": "uniform", "oracle": "gold", "judge": "gold", "judge_is_oracle": True, "temperature": 1.0, "seed": 0,
}  # fmt: skip
PROMPTS = 200
DEPTH_1 = {"depth": 1}
BALANCED = {
    "mean_depth": 2, "responses": 4, "mode": "label_free", "rule": "pairs", "prompt_clusters": None,
    "pair_clusters": None, "sketch": 512, "max_depth": None, "min_pool": 64, "embedder": "policy",
    "embedder_path": None, "temperature": 0.1,
}  # fmt: skip


# What stands in a configuration and not in rows.
SETTINGS = ("learning_rate", "beta", "sft_seed", "reference_settings", "allocation_settings")


def row(wins: int = 120, **changes: Any) -> dict[str, Any]:
    """A result row; `wins` of 200 prompts, one response each, no ties. What follows from the counts is computed."""
    made = IDENTITY | {
        "split": "test", "round": 1, "step": 64, "annotated_pairs": 2048, "generated_responses": 4096, "resampled": 0,
        "passed_over": 0, "oracle_ties": 0, "seconds": 50.0, "n_prompts": PROMPTS, "samples": 1, "wins": wins,
        "ties": 0, "losses": PROMPTS - wins, "n_invalid": 0, "judge_score_mean": wins / 10,
        "response_tokens_mean": 15.0, "label_tokens_mean": 12.0, "distinct_3": 0.5, "unique_rate": 0.9, "kl_sft": 1.0,
        "gold_score_mean": wins / 100, "gold_score_se": 0.1, "label_gold_score_mean": 1.0, "proxy_score_mean": None,
    } | changes  # fmt: skip
    return made | win_rates(made) | changes


def win_rates(counts: Mapping[str, Any]) -> dict[str, Any]:
    """The win rates of a result row, from its counts; the length-controlled one is half the plain one."""
    points, judged = (counts["wins"] + counts["ties"] / 2, counts["wins"] + counts["ties"] + counts["losses"])
    rate, invalid = (points / judged if judged else None), counts["n_invalid"]
    made = {"win_rate": rate, "win_rate_length_controlled": rate and rate / 2, "length_controlled_why": None}
    for key, distance in (("se", 0.03), ("low", -0.06), ("high", 0.06)):
        limit = distance if key == "se" else min(max((rate or 0) + distance, 0.0), 1.0)
        made[f"win_rate_{key}"] = None if rate is None else limit
    made["win_rate_length_controlled_se"] = made["win_rate_se"]
    bounds = {"lowest": points, "highest": points + invalid}
    return made | {f"win_rate_{key}": value / max(judged + invalid, 1) for key, value in bounds.items()}


def rows(wins: int = 120, **changes: Any) -> list[dict[str, Any]]:
    """The rows of a finished run: two evaluations on validation, the SFT policy's, the result."""
    T = changes.get("T", 64)
    spent = {key: changes.get(key, usual) for key, usual in (("annotated_pairs", 2048), ("generated_responses", 4096))}
    start = {"step": 0, "kl_sft": 0.0, "seconds": 0.0, **dict.fromkeys(spent, 0)}
    half = {"step": T // 2, "seconds": 25.0, **{key: count // 2 for key, count in spent.items()}}
    return [
        row(90, **changes | start | {"split": "validation", "round": 0}),
        row(100, **changes | half | {"split": "validation", "round": 0}),
        row(92, **changes | start | {"round": -1}),
        row(wins, **changes | {"step": T}),
    ]


def config(**changes: Any) -> dict[str, Any]:
    """A resolved configuration that fits `row`."""
    made = IDENTITY | changes
    return {
        "F": made["F"], "T": made["T"], "batch_size": made["batch_size"], "seed": made["seed"],
        "learning_rate": made.get("learning_rate", 3e-4), "ensemble": made["ensemble"],
        "evaluate": {"temperature": made["temperature"], "every": 16, "prompts": None},
        "checkpoint_every": 16, "force": False, "device": "auto", "cache": ".cache",
        "task": {"name": made["task"], "max_new_tokens": 40}, "data": {"_target_": "x", "train": 6000},
        "model": {"name": made["model"], "rows": 256, "sft": {"steps": 800, "seed": made.get("sft_seed", 0)}},
        "loss": {"_target_": made["loss"], "beta": made.get("beta", 0.1)},
        "reference": {"_target_": made["reference"], **made.get("reference_settings", {})},
        "allocation": {"_target_": made["allocation"], **made.get("allocation_settings", DEPTH_1)},
        "logger": {"name": "jsonl"},
        "choices": {
            **{group: made[group] for group in ("task", "loss", "reference", "allocation")},
            "experiment": f"{made['reference']}_{made['F']}",
        },
    }  # fmt: skip


def make_run(folder: Path, wins: int = 120, samples: int = 0, **changes: Any) -> Path:
    """Writes a run's folder; `changes` are values of its rows and configuration."""
    settings = {key: changes.pop(key) for key in SETTINGS if key in changes}
    changes = {"run_id": folder.name, "config_hash": folder.name} | changes
    folder.mkdir(parents=True)
    write_rows(folder, rows(wins, **changes))
    (folder / "config.yaml").write_text(yaml.safe_dump(config(**changes, **settings), sort_keys=False))
    steps = [{"round": 0, "step": step, "loss": 0.7 - step / 1000, "kl/sft": step / 64} for step in range(64)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    if samples:
        place = {"split": "test", "round": 1, "step": changes.get("T", 64), "sample": 0}
        # The prompts are won in one order, which the seed determines: methods agree on most prompts.
        order = np.random.default_rng(changes.get("seed", 0)).permutation(PROMPTS)
        texts = [
            place | {"prompt_id": i, "prompt": f"p{i}", "response": "r" * 20, "label": "l", "response_score": 1.0,
                     "label_score": 0.5, "outcome": float(order[i] < wins), "gold_score": 1.0, "label_gold_score": 0.5}
            for i in range(PROMPTS)
        ]  # fmt: skip
        earlier = [text | {"split": "validation", "step": 0, "prompt": "earlier"} for text in texts[:samples]]
        (folder / "samples.jsonl").write_text("".join(json.dumps(text) + "\n" for text in earlier + texts))
    return folder


def plan(
    round: int = 0, prompts: int = 24, clusters: int = 4, seed: int = 0, fallback: str | None = None
) -> dict[str, Any]:
    """A plan as a round leaves it: six candidate pairs a prompt, half as many pairs as responses chosen."""
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(clusters, 2))
    pairs = []
    for prompt in range(prompts):
        for i, j in combinations(range(4), 2):
            cluster = int(generator.integers(clusters))
            xy = (0.4 * centers[cluster] + generator.normal(size=2) * 0.1).tolist()
            pairs.append({"prompt": prompt, "responses": [i, j], "cluster": cluster, "xy": xy,
                          "closeness": float(generator.random())})  # fmt: skip
    best = sorted(range(len(pairs)), key=lambda place: -pairs[place]["closeness"])[: 2 * prompts]
    for place, pair in enumerate(pairs):
        pair["chosen"] = place in best
    depths = [sum(pair["chosen"] for pair in pairs if pair["prompt"] == prompt) for prompt in range(prompts)]
    return {
        "round": round, "allocation": "balanced", "mode": "label_free", "rule": "pairs", "fallback": fallback,
        "budget": 2 * prompts, "generated": 4 * prompts, "annotated": 2 * prompts,
        "prompts": [{"id": prompt, "cluster": prompt % 3, "depth": depth} for prompt, depth in enumerate(depths)],
        "pairs": [] if fallback else pairs, "seconds": {"embed": 0.1, "sample": 1.0, "features": 0.5, "cluster": 0.1},
    }  # fmt: skip


def write_plan(folder: Path, made: dict[str, Any]) -> Path:
    """Writes a plan where a run's folder has it."""
    path = folder / "pairs" / f"plan_{made['round']:03d}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(made))
    return path


def write_rows(folder: Path, content: Sequence[Any]) -> None:
    """Replaces results.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in content))


METHODS: dict[str, dict[str, Any]] = {
    "offline": {"F": 1}, "bpo2": {"F": 2}, "bpoT": {"F": 64}, "onpolicy": {"F": 64, "reference": "sft"},
}  # fmt: skip


# One of every allocation with F=2 and reference=behavior.
ALLOCATIONS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "depth2": {"allocation_settings": {"depth": 2}},
    "balanced": {"allocation": "balanced", "allocation_settings": BALANCED},
    "pilot": {"allocation": "balanced", "allocation_settings": BALANCED | {"mode": "pilot"}},
    "paper_order": {"allocation": "balanced", "allocation_settings": BALANCED | {"mode": "paper_order"},
                    "annotated_pairs": 6144},
    "random_pairs": {"allocation": "random_pairs", "allocation_settings": {"mean_depth": 2, "responses": 4}},
    "far_from_center": {"allocation": "far_from_center", "allocation_settings": BALANCED},
    "embedding_depth": {"allocation": "embedding_depth", "allocation_settings": BALANCED},
}  # fmt: skip


def make_sweep(
    root: Path,
    methods: Sequence[str] = tuple(METHODS),
    tasks: Sequence[str] = ("tldr", "helpfulness"),
    losses: Sequence[str] = ("dpo",),
    seeds: Sequence[int] = range(5),
    samples: int = 0,
    **changes: Any,
) -> Path:
    """Folders of a whole sweep; later methods are better, seeds differ."""
    generator = np.random.default_rng(0)
    for task in tasks:
        for loss in losses:
            for place, method in enumerate(methods):
                for seed in seeds:
                    wins = int(generator.integers(110, 122)) + 6 * place
                    name = f"{method},{task},{loss},{seed}"
                    own = (METHODS | ALLOCATIONS)[method] | changes | {"task": task, "loss": loss, "seed": seed}
                    make_run(root / name, wins, samples, **own)
    return root
