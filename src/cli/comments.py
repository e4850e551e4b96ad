"""The comments of a yaml file, read as descriptions of its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class FileComments:
    """What the comments of a yaml file say.

    Attributes:
        about: the first comment line.
        keys: key -> the comment above it. Keys below a key are written a.b.c.
        groups: group -> the comment above it in the defaults list.
    """

    about: str
    keys: Mapping[str, str]
    groups: Mapping[str, str]


def read_comments(file: Path) -> FileComments:
    """Reads the comments of a yaml file.

    The comment lines at its top are about the file, and a comment line about the key below them comes after a blank
    line. A file's first comment line is a description by itself; the lines after it may say more.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    top = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    about = next((line[2:] for line in lines[:top] if "@package" not in line), "")
    keys: dict[str, str] = {}
    groups: dict[str, str] = {}

    def above(node: Any) -> str:
        last = node.start_mark.line
        first = last
        while first > top and lines[first - 1].lstrip().startswith("# "):
            first -= 1
        return " ".join(line.strip()[2:] for line in lines[first:last])

    def walk(node: Any, path: str) -> None:
        for key, value in node.value:
            name = f"{path}{key.value}"
            if text := above(key):
                keys[name] = text
            if isinstance(value, yaml.MappingNode):
                walk(value, f"{name}.")
            if name == "defaults":
                for entry in value.value:
                    for group, _ in entry.value if isinstance(entry, yaml.MappingNode) else ():
                        groups[group.value.removeprefix("optional ")] = above(group)

    root = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        walk(root, "")
    return FileComments(about, keys, groups)
