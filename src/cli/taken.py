"""Which keys of the yaml files a command takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Taken:
    """What a command takes.

    Attributes:
        name: the yaml file in conf/ whose keys the command takes.
        keys: the top-level keys that mean something to the command; the others are refused. None: all.
        checked: the keys whose parts must exist and fit together; None: `keys`.
        own: the command's own keys, named in the hint for a mistyped key.
        problems_in: what is wrong with a composed configuration, a line each; None: the checks of train.
        saved: the configuration of a saved run, whose values replace those of conf/train.yaml.
        saved_data: the `data` that the saved run chose; another task takes its limits and its set from there.
    """

    name: str = "train"
    keys: tuple[str, ...] | None = None
    checked: tuple[str, ...] | None = None
    own: tuple[str, ...] = ()
    problems_in: Callable[[dict[str, Any]], list[str]] | None = None
    saved: Mapping[str, Any] | None = None
    saved_data: str = "embedded"

    def takes(self, key: str) -> bool:
        """Whether a key, as it is typed, means something to the command."""
        return self.keys is None or any(f"{key}.".startswith(f"{taken}.") for taken in self.keys)


TRAIN = Taken()
