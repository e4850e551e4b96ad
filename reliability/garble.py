"""Garbled input: nasty texts and values, and where they are put.

Every function draws from the generator it is given, in a fixed order: the same seed and number make the same case.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

NASTY = (
    "", " ", "\t", "\x00", "\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\r\b\b\b", "\u202e\u2066txt", "\u2028", "\ufeff",
    "é", "文字" * 3, "שלום עולם", "🏳\ufe0f\u200d🌈", "\ud800", "null", "true", "nan", "-inf", "1e999", "-1", "0", "0.5",
    "2", "9" * 400, "[", "]", "{", "}", "[]", "{}", "[1,2]", "{a:1}", "${", "${x}", "${loss}", "${oc.env:HOME}", "=",
    ",",
    "'", '"', "\\", "/", "..", "../..", "~", "$HOME", "/dev/null", "/dev/zero", "%s", "{0}", "[red]", "[/nothing]", "@",
    "<script>", "&lt;", "#", "!!python/object/apply:os.system [x]", "&a [*a]", "- ", "? ", ": ", "T", "1_000", "0x10",
    "x" * 5000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**70, 0.5, -0.0, float("nan"), float("inf"), 1e308, "", "x", [], [1], {}, {"a": 1},
    {"_target_": "os.system"}, {"_target_": None}, [[[]]], "T", "\x1b[31m", "\u202e", "é🏳", "9" * 30,
)  # fmt: skip


def mutated(rng: Random, text: str) -> str:
    """A word of a command, with something nasty in it or in place of its value; one in five stays as it is."""
    how = rng.random()
    if how < 0.2:
        return text
    if how < 0.6:
        return f"{text.partition('=')[0]}={rng.choice(NASTY)}".encode("utf-8", "replace").decode()
    position = rng.randint(0, len(text))
    inserted = rng.choice(NASTY).encode("utf-8", "replace").decode().replace("\x00", "")
    return text[:position] + inserted + text[position + rng.randint(0, 2) :]


def change_in(rng: Random, node: Any) -> None:
    """Changes, removes, adds or repeats one item somewhere in nested dicts and lists, in place."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
            node = node[key]
            continue
        how = rng.random()
        if how < 0.7:
            node[key] = other_value(rng, node[key])
        elif how < 0.85:
            del node[key]
        elif isinstance(node, dict):
            node[rng.choice(NASTY)] = copy.deepcopy(rng.choice(VALUES))
        else:
            node.append(copy.deepcopy(node[key]))
        return


def other_value(rng: Random, value: Any) -> Any:
    """Another value: half the time any, otherwise one of the same type, which passes more checks."""
    if rng.random() < 0.5:
        return copy.deepcopy(rng.choice(VALUES))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((0, 1, 2, 3, 7, value + 1, -value, 10**9))
    if isinstance(value, float):
        return rng.choice((0.0, 0.5, 1.0, 1e-300, 1e300, -value, value * 1.001))
    return rng.choice(NASTY)


def torn(rng: Random, text: bytes, times: int = 1) -> bytes:
    """Bytes damaged `times` times: flipped, cut off, repeated, inserted or re-encoded; half the time left alone."""
    for _ in range(times):
        position = rng.randint(0, len(text))
        inserted = rng.choice(NASTY).encode("utf-8", "surrogatepass")
        match rng.randint(0, 11):
            case 0:
                text = text[:position]
            case 1:
                text = text[:position] + bytes([rng.randint(0, 255)]) + text[position + 1 :]
            case 2:
                text = text[:position] + inserted + text[position:]
            case 3:
                text = text[:position] + text[position // 2 :]
            case 4:
                text = text.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
            case 5:
                text = text.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"", b"\x00")))
    return text


def spoil(rng: Random, folder: Path, names: Sequence[str]) -> None:
    """Damages one or two files of a folder: changes values in rows, tears bytes, or removes the file."""
    for name in rng.sample(names, rng.randint(1, 2)):
        file = folder / name
        how = rng.random()
        if how < 0.1:
            file.unlink()
        elif how < 0.5 or not name.endswith((".jsonl", ".yaml")):
            file.write_bytes(torn(rng, file.read_bytes(), rng.randint(1, 3)))
        elif name.endswith(".yaml"):
            plain = yaml.safe_load(file.read_text(encoding="utf-8"))
            change_in(rng, plain)
            file.write_bytes(yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass"))
        else:
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
            for _ in range(rng.randint(1, 3)):
                change_in(rng, rows)
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
