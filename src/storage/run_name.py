"""The name of a run's folder and the hash of its configuration."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST_VALUE, LONGEST_NAME = 40, 180


def run_name(overrides: Sequence[str], *instead: str) -> str:
    """A folder name from command-line overrides: sorted, so that their order does not matter.

    A value that is a path, too long, or odd for a file name is shortened, with a hash that keeps it apart. `force`, the
    logger and the sampler say how to run, not what, and have no part in the name. Without overrides it is "default".

    Args:
        overrides: `key=value` each.
        instead: overrides that take the place of those with the same key, for the name of another run of a sweep.
    """
    parts = []
    replaced = {override.partition("=")[0] for override in instead}
    for override in [*(one for one in overrides if one.lstrip("+").partition("=")[0] not in replaced), *instead]:
        key, _, value = override.lstrip("+").partition("=")
        if key.split(".")[0] in ("force", "logger", "sampler"):
            continue
        if len(value) > LONGEST_VALUE or re.search(r"[^\w.,+\-]", value, re.ASCII):
            tail = re.sub(r"[^\w.\-]+", "_", Path(value).name, flags=re.ASCII).strip("_")[-16:]
            value = f"{tail}-{_digest(value)}"
        key = re.sub(r"[^A-Za-z0-9_.~-]+", "_", key)
        parts.append(f"{key}={value}" if "=" in override else key)
    name = ",".join(sorted(parts)) or "default"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 13]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def config_hash(config: Mapping[str, Any]) -> str:
    """A hash of everything in a configuration that can change a result."""
    relevant = {key: value for key, value in config.items() if key not in ("force", "cache", "logger", "sampler")}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]
