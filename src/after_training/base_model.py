"""The base model of a saved policy: which one it is, and whether it is still there."""

import json
from collections.abc import Sequence
from typing import Any

from src.after_training.saved_policy import SavedPolicy
from src.models.plain_lora import adapter_in_place_of_model
from src.storage.files import is_local, local_path


def settings_with_base(saved: SavedPolicy, given: str | None) -> dict[str, Any] | None:
    """The configuration of a policy's run, with `base=` in place of the run's model.path, whose folder may be gone.

    Args:
        given: the value of `base=`. It replaces nothing in a run whose model was made from scratch.

    Returns:
        The configuration; None for a policy of no run.
    """
    settings = saved.settings()
    if settings and given and _is_there(given) and _model_path(settings) is not None:
        settings["model"]["path"] = _as_loaded(given)
    return settings


def has_base(saved: SavedPolicy) -> bool:
    """Whether a policy has a base model that `base=` could name: an adapter has, and a run with a model.path."""
    return saved.is_adapter or _model_path(saved.settings() or {}) is not None


def base_problems(given: str | None, policies: Sequence[SavedPolicy]) -> list[str]:
    """What is wrong with `base=`, a line each: no model is there, or no policy has a base model."""
    if given is None:
        return []
    if not _is_there(given):
        return [f"base={given}: no model there; expected a folder with config.json and safetensors"]
    if problem := adapter_in_place_of_model(given):
        return [f"base={problem}"]
    if not any(has_base(saved) for saved in policies):
        return [f"base={given}: got no adapter and no run with a model.path, and nothing else has a base; leave it out"]
    return []


def base_of(saved: SavedPolicy, given: str | None, configured: str | None) -> tuple[str, list[str]]:
    """The model that a policy's weights are loaded into: an adapter's base model, or the model folder itself.

    Args:
        given: the value of `base=`, which comes first.
        configured: `model.path`. It stands in for a folder that the adapter names and that is gone, and for a hub name.

    Returns:
        The folder or hub name; and the problems, a line each.
    """
    problems = base_problems(given, [saved])
    if problems or not saved.is_adapter:
        return str(saved.folder), problems
    try:
        named = str(json.loads((saved.folder / "adapter_config.json").read_text())["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError) as error:
        return "", [f"{saved.folder}/adapter_config.json cannot be read ({error!r})"]
    if given:
        return _as_loaded(given), []
    # Folders before hub names: without a network a hub name cannot be loaded.
    for model in sorted(filter(None, (named, configured)), key=is_local, reverse=True):
        if _is_there(model):
            return _as_loaded(model), []
    return "", [f"{saved.folder} is an adapter for {named}, which is not there; base=DIR names a copy"]


def _model_path(settings: dict[str, Any]) -> str | None:
    """model.path of a run's configuration, which may be damaged."""
    model = settings.get("model")
    return model.get("path") if isinstance(model, dict) else None


def _is_there(model: str) -> bool:
    """Whether a model's folder holds a model; a hub name is taken on trust."""
    return not is_local(model) or (local_path(model) / "config.json").is_file()


def _as_loaded(model: str) -> str:
    """A model's name or folder as transformers takes it, `~` expanded."""
    return str(local_path(model)) if is_local(model) else model
