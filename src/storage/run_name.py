"""The name of a run's folder and the hash of its configuration."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST_WORD, LONGEST_VALUE, LONGEST_NAME = 20, 40, 180
# Keys that say how a run is made, not what it computes: no part of its name or of its hash.
HOW = ("force", "cache", "logger", "sampler")
# Keys of groups that runs of earlier versions lack, with the value that says what those runs did: no part of the hash
# at that value, so that a run of then and its command of today are one run.
LATER = {"loss": {"nll": 0, "weighting": "none"}}


def run_name(words: Sequence[str], others: Mapping[str, Any]) -> str:
    """A folder name from what says most about a run and from whatever else sets it apart.

    run_name(["tldr", "dpo", "F2", "seed0"], {"T": 32})  # "tldr-dpo-F2-seed0+T@32"

    The separators are "-", "+" and "@": legal in the paths of every system, plain characters to a shell and to Hydra,
    so a name is typed back without quotes (`reference.path=outputs/NAME`); "," and "=" would mean something to Hydra.
    "_" separates no words, since options have names like `far_from_center`. "@" before eight hexadecimal digits marks
    the hash that stands for a value that is a path, too long, or has other characters.

    Args:
        words: of the beginning, in order. They are never cut off.
        others: key -> value, sorted here; `experiment` comes first.

    Returns:
        At most `LONGEST_NAME` ASCII characters. Different arguments give different names.
    """
    order = sorted(others, key=lambda key: (key != "experiment", key))
    parts = [f"+{_short(key, LONGEST_VALUE)}@{_short(_text(others[key]), LONGEST_VALUE)}" for key in order]
    # A word has no "-" of its own, or two rows of words could be one name.
    name = "-".join(_short(word, LONGEST_WORD, "-") for word in words) + "".join(parts)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}@{_digest(name)}"


def _short(text: str, longest: int, odd: str = "") -> str:
    """A text as it is if it is short and plain, else its end and a hash."""
    if len(text) <= longest and re.fullmatch(r"[\w.\-]+", text, re.ASCII) and not (odd and odd in text):
        return text
    tail = re.sub(r"[^\w.]+", "_", Path(text).name, flags=re.ASCII).strip("_")[-min(16, longest - 9) :]
    return f"{tail}@{_digest(text)}"


def _text(value: Any) -> str:
    """A value in words: a number, null or true as JSON; a text as it is, in quotes only where it would be one of them.

    1 and 1.0 are one value.
    """
    if not isinstance(value, str):
        return json.dumps(_without_classes(value), sort_keys=True)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def config_hash(config: Mapping[str, Any]) -> str:
    """A hash of everything in a configuration that can change a result.

    Classes have no part in it, so that they may move; `choices`, the options chosen, say the same.
    """
    chosen = {
        group: name
        for group, name in (config.get("choices") or {}).items()
        if isinstance(config.get(group), Mapping) and "_target_" in config[group]
    }
    text = json.dumps({**shaping(config), "choices": chosen}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shaping(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration that can change a result, by their keys; the choices and the classes left out."""
    values = {key: _without_classes(value) for key, value in config.items() if key not in (*HOW, "choices")}
    for group in ("oracle", "judge"):
        if isinstance(values.get(group), dict):
            values[group].pop("cache", None)  # of paid answers
            values[group].pop("warn_invalid_above", None)
    for group, as_before in LATER.items():
        if isinstance(values.get(group), dict):
            values[group] = {k: v for k, v in values[group].items() if k not in as_before or v != as_before[k]}
    return values


def _without_classes(value: Any) -> Any:
    """A value without the classes named in it, a float that is a whole number as one."""
    if isinstance(value, Mapping):
        return {key: _without_classes(below) for key, below in value.items() if key != "_target_"}
    if isinstance(value, list):
        return [_without_classes(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
