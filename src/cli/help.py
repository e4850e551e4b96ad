"""`--help`: every group with its options and every key with its value, described by the comments in the yaml files."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from src.cli.comments import FileComments, read_comments
from src.cli.conf import CONF, composing, plain_config
from src.cli.overrides import config_dirs, parsed, split_jobs

WIDTH, NAME, LONGEST_TEXT = 80, 24, 40
FLAGS = {
    "-m": "runs every combination of values given as key=A,B (multirun)",
    "--cfg job": "prints the composed configuration and runs nothing",
    "--config-dir=DIR": "adds a folder of yaml files: options of your own",
    "--hydra-help": "prints Hydra's own flags",
}
# Keys of Hydra that say where a run goes.
PLACES = ("hydra.run.dir", "hydra.sweep.dir")


def help_text(about: str, arguments: Sequence[str]) -> str:
    """The help of src.train.

    Args:
        about: what the command does and examples, printed first.
        arguments: the others of the command; the values shown are those of the options among them.
    """
    folders, given = config_dirs(arguments)
    # Of a multirun the first job.
    job = split_jobs(parsed([argument for argument in given if not argument.startswith("-")])[0])[0]
    with composing(folders):
        config = compose("train", overrides=job, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        choices = dict(config.hydra.runtime.choices)
        plain = plain_config(config)
        known = GlobalHydra.instance().config_loader().get_group_options
        groups = {group: known(group) for group in _groups()}
    files = Files([*map(Path, folders), CONF])
    comments = files.of_run(choices)
    lines = [about.strip(), "", *_section("Flags"), *(_entry(flag, text) for flag, text in FLAGS.items()), ""]
    lines += _section("Groups", "Type group=option; * marks the options that are chosen here.")
    for group, names in groups.items():
        lines += _wrapped(f"{group}: {comments.groups.get(group, '')}", "", "  ")
        for name in names:
            typed = f"{name} *" if name == choices.get(group) else name
            lines.append(_entry(typed, files.comments(group, name).about))
        lines.append("")
    lines += _section(
        "Keys", "Type key=value. Other options have other keys: `--help allocation=balanced` shows theirs."
    )
    del plain["choices"]
    lines += [_entry(f"{key}={_shown(value)}", _description(key, comments.keys)) for key, value in _leaves(plain)]
    lines += [_entry(f"{key}=DIR", _description(key, comments.keys)) for key in PLACES]
    return "\n".join(lines) + "\n"


class Files:
    """The yaml files of groups, in conf/ and in folders that are added; the first that has a file gives it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def comments(self, group: str, option: str) -> FileComments:
        """The comments of an option, those of the files that it is made from included."""
        for folder in self._folders:
            file = folder / group / f"{option}.yaml"
            if file.is_file():
                return self._with_bases(file, group)
        return FileComments("", {}, {})

    def of_run(self, choices: Mapping[str, str | None]) -> FileComments:
        """The comments of conf/train.yaml and of the options of a run: absolute keys."""
        train = read_comments(CONF / "train.yaml")
        keys = dict(train.keys)
        for group, option in reversed(list(choices.items())):
            group = group.partition("@")[0]
            if option is not None and not group.startswith("hydra"):
                added = self.comments(group, option).keys
                keys = {**added, **keys} if group == "experiment" else {**keys, **added}
        return FileComments(train.about, keys, train.groups)

    def _with_bases(self, file: Path, group: str) -> FileComments:
        """The comments of a file and, for keys that it says nothing of, of the files in its defaults list."""
        own, text = read_comments(file), file.read_text(encoding="utf-8")
        prefix = "" if "# @package _global_" in text else f"{group}."
        keys = {f"{prefix}{key}": comment for key, comment in own.keys.items()}
        for base in (yaml.safe_load(text) or {}).get("defaults", []):
            if not isinstance(base, str) or base == "_self_":
                continue
            # "tiny" is a file of the same group, "/oracle/llm@_here_" one of another group at this group's place.
            other, _, option = base.partition("@")[0].strip("/").rpartition("/")
            below = self.comments(other or group, option).keys
            if other:
                below = {f"{group}.{key.partition('.')[2]}": comment for key, comment in below.items()}
            keys = {**below, **keys}
        return FileComments(own.about, keys, own.groups)


def _description(key: str, comments: Mapping[str, str]) -> str:
    """The comment of a key or, without one, of the nearest key that it is below."""
    while key and key not in comments:
        key = key.rpartition(".")[0]
    return comments.get(key, "")


def _groups() -> list[str]:
    """The groups of conf/train.yaml that have options, in its order."""
    entries = yaml.safe_load((CONF / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    names = [name.removeprefix("optional ") for entry in entries if isinstance(entry, dict) for name in entry]
    return [name for name in names if not name.startswith("override ") and name != "local"]


def _section(title: str, text: str = "") -> list[str]:
    return [title, "=" * len(title), *([*_wrapped(text, "", ""), ""] if text else [])]


def _entry(name: str, text: str) -> str:
    """A name with its description beside it, or below it if the name is long."""
    indent = " " * (NAME + 3)
    if len(name) > NAME:
        return "\n".join([f"  {name}", *_wrapped(text, indent, indent)])
    return "\n".join(_wrapped(text, f"  {name.ljust(NAME)} ", indent)) or f"  {name}"


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The keys without others below, as they are typed, and their values."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{key}.")
        elif key != "_target_":
            yield f"{path}{key}", value


def _shown(value: Any) -> str:
    """A value as it is typed; of a long text its beginning."""
    if isinstance(value, str):
        text = " ".join(value.split())
        return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."
    return json.dumps(value).replace(" ", "").replace('"', "")
