"""Checks of config.yaml and identity.json against the result rows."""

from src.after_training.check import Check, none_of, same
from src.after_training.finished_run import FinishedRun
from src.learning.schedule import resolve_rounds
from src.storage.run_name import config_hash


def configuration(run: FinishedRun) -> list[Check]:
    """The hash of config.yaml; and whether every result row names the settings and the identity of the run."""
    config, result = run.config, run.result
    settings = {
        "task": config["task"]["name"],
        "model": config["model"]["name"],
        "F": resolve_rounds(config["F"], config["T"]),
        "T": config["T"],
        "batch_size": config["batch_size"],
        "ensemble": config["ensemble"],
        "temperature": config["evaluate"]["temperature"],
        "seed": config["seed"],
    }
    problems = [
        f"{key}={result.get(key)!r}, config.yaml says {value!r}"
        for key, value in settings.items()
        if result.get(key) != value
    ]
    problems += [
        f"{key}={row.get(key)!r} in row {number}, identity.json says {value!r}"
        for number, row in enumerate(run.results, 1)
        for key, value in run.identity.items()
        if row.get(key) != value
    ]
    return [
        same("config_hash", result.get("config_hash"), config_hash(config), "of config.yaml"),
        none_of("identity of the rows", problems, f"{len(run.results)} rows"),
    ]
