"""The yaml files of conf/, composed."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.folder_name import chosen
from src.storage.files import local_path

CONF = Path(__file__).parents[2] / "conf"
# Keys of paths on this machine. `sampler.server_folder` is one on the servers' machine.
PATHS = ("path", "embedder_path", "cache", "folder", "out")
# Whatever composing may raise on a typed text: Hydra turns most into its own errors, and lets others through.
COMPOSING = (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError, RecursionError, OSError)
# The yaml has the name of the plugin's schema so that Hydra checks its values, which Hydra calls deprecated, and does.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/submitit_slurm' is validated against ConfigStore schema")


@contextmanager
def composing(folders: Sequence[str] = ()) -> Iterator[None]:
    """Lets Hydra compose from conf/ and from more folders of yaml files during the block."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        if folders:
            loader = GlobalHydra.instance().config_loader()
            path = loader.get_search_path()
            for folder in folders:
                path.prepend("command-line", f"file://{Path(folder).absolute()}", anchor="schema")
            loader.repository = ConfigRepository(config_search_path=path)  # type: ignore[attr-defined]
        yield


def plain_config(config: DictConfig, choices: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """A composed configuration as plain dicts, interpolations resolved, without Hydra's part.

    Args:
        config: as composed, not resolved.
        choices: the option chosen of each group; None: those in Hydra's part of `config`.

    Returns:
        The values, and under `choices` the options that shape a result.
    """
    names = config.hydra.runtime.choices if choices is None else choices
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "experiment")])
    plain = from_home(OmegaConf.to_container(own, resolve=True, throw_on_missing=True))
    return {**{str(key): value for key, value in plain.items()}, "choices": chosen(names)}


def from_home(node: Any, key: str = "") -> Any:
    """Nested values with `~` and `~user` at the beginning of a path expanded, as a shell does it where it stands alone.

    Args:
        node: dicts, lists and values.
        key: the last part of the node's key, which tells paths from other texts.
    """
    if isinstance(node, dict):
        return {name: from_home(value, str(name)) for name, value in node.items()}
    if isinstance(node, str) and key in PATHS and node.startswith("~"):
        return str(local_path(node))
    return node


def keys_in(node: Any, path: str = "") -> list[str]:
    """The keys of nested dicts, as they are typed: a.b.c."""
    if not isinstance(node, dict):
        return []
    keys = [f"{path}{key}" for key in node if key != "_target_"]
    return keys + [below for key, value in node.items() for below in keys_in(value, f"{path}{key}.")]
