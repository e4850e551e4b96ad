"""Compositions beside the one that Hydra is at work on, which a resolver and a job must leave alone."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.types import RunMode
from omegaconf import DictConfig


def config_sources(hydra: Any) -> tuple[tuple[str, str], ...]:
    """Where the yaml files of a composed configuration come from: provider and address of each folder.

    Args:
        hydra: Hydra's part of that configuration.
    """
    return tuple((source.provider, f"{source.schema}://{source.path}") for source in hydra.runtime.config_sources)


def composed_beside(config_name: str, sources: Sequence[tuple[str, str]], overrides: Sequence[str]) -> DictConfig:
    """A configuration, Hydra's part included, not resolved.

    Args:
        config_name: the yaml to begin with, "train".
        sources: of `config_sources`.
        overrides: as they are typed.
    """
    path = ConfigSearchPathImpl()
    for provider, address in sources:
        path.append(provider, address)
    return ConfigLoaderImpl(path).load_configuration(config_name, list(overrides), run_mode=RunMode.RUN)
