"""Saved policies: runs, PEFT adapters and model folders, found and loaded by name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from src.models.fingerprint import model_fingerprint
from src.models.policy import Policy, Weights
from src.models.pretrained import load_model, load_tokenizer
from src.models.spec import LoraSpec
from src.runtime.errors import RunError
from src.storage.checksums import damage, policy_folder
from src.storage.files import CHECKSUM, local_path, read_rows

# Names the SFT policy of the configuration where a path could stand.
SFT = "sft"
# Layers that take the place of every linear one, so that an adapter of any rank on any of them can be put in place.
ANY_ADAPTER = LoraSpec(rank=1, alpha=1, dropout=0.0, targets="all-linear")


@dataclass(frozen=True)
class SavedPolicy:
    """A policy on disk.

    Attributes:
        name: what it is called in tables and rows.
        folder: of the adapter or the model.
        run: the folder of the run that made it; None for any other policy.
    """

    name: str
    folder: Path
    run: Path | None

    @property
    def is_adapter(self) -> bool:
        """Whether it is a PEFT adapter, which needs its base model."""
        return (self.folder / "adapter_config.json").is_file()

    def facts(self) -> dict[str, Any]:
        """How it was made: its run's last result row, or what identity.json says of a run without one; else empty.

        Raises:
            RunError: if these files are damaged.
        """
        if self.run is None:
            return {}
        try:
            rows = read_rows(self.run / "results.jsonl")
            finished = [row for row in rows[-1:] if row["step"] == row["T"]]
            facts = (finished or read_rows(self.run / "identity.json") or [{}])[0]
            return {str(key): value for key, value in facts.items() if key != CHECKSUM}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RunError(f"{self.run}: results.jsonl or identity.json is damaged ({error!r})") from error

    @property
    def has_base(self) -> bool:
        """Whether it belongs to a base model that may lie elsewhere: an adapter's, or its run's model.path."""
        return self.is_adapter or _path_in(self.settings() or {}) is not None

    def settings(self, base: str | None = None) -> dict[str, Any] | None:
        """Its run's resolved configuration, see `read_settings`; None without a run.

        Args:
            base: `base=`, in the place of the run's model.path, which may be gone; a model from scratch has none.
        """
        settings = read_settings(self.run / "config.yaml") if self.run else None
        if settings and base and _is_there(base) and _path_in(settings) is not None:
            settings["model"]["path"] = _as_loaded(base)
        return settings


def _path_in(settings: dict[str, Any]) -> str | None:
    """model.path of a run's configuration, which may be damaged."""
    model = settings.get("model")
    return model.get("path") if isinstance(model, dict) else None


def read_settings(path: Path) -> dict[str, Any]:
    """A run's config.yaml. It may come from a stranger: nothing in it is looked up or run.

    Raises:
        RunError: if it is no configuration, or not a resolved one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        read = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())
        raise RunError(f"{path} cannot be read ({what[:200]}); it is damaged") from error
    if not isinstance(read, dict) or not all(isinstance(key, str) for key in read):
        raise RunError(f"{path} is no configuration of a run; it is damaged")
    if "${" in text:
        raise RunError(f"{path} has an interpolation, ${{..}}; a run writes what it stood for, so this is not a run's")
    return read


def find_policy(text: str) -> tuple[SavedPolicy | None, list[str]]:
    """The policy that a path leads to: a run's folder, its policy/ folder, an adapter or a model folder.

    Returns:
        The policy, or None, and what is wrong, a line each.
    """
    given = local_path(text).absolute()
    if not given.is_dir():
        return None, [f"policy={text}: no such folder"]
    if (given / "identity.json").is_file() and not (given / "policy").is_dir():
        return None, [f"policy={text}: that run is not finished, it has no policy/; the same command goes on with it"]
    folder = policy_folder(given)
    if not any((folder / name).is_file() for name in ("adapter_config.json", "config.json")):
        return None, [
            f"policy={text}: no policy there; expected a run's folder, its policy/, a PEFT adapter or a model folder"
        ]
    if (folder / "adapter_config.json").is_file() and not (folder / "adapter_model.safetensors").is_file():
        return None, [f"policy={text}: an adapter without adapter_model.safetensors; other formats are not read"]
    run = folder.parent
    by_run = folder.name == "policy" and (run / "config.yaml").is_file() and (run / "identity.json").is_file()
    found = damage(run, ("policy/", "config.yaml", "results.jsonl")) if by_run else []
    if found:
        return None, [f"policy={text}: {line}" for line in found]
    return SavedPolicy(run.name if by_run else folder.name, folder, run if by_run else None), []


def base_problems(given: str | None, policies: Sequence[SavedPolicy]) -> list[str]:
    """What is wrong with `base=`, a line each: no model is there, or no policy has a use for it."""
    if given is None:
        return []
    if not _is_there(given):
        return [f"base={given}: no model there; expected a folder with config.json and safetensors"]
    if not any(saved.has_base for saved in policies):
        return [f"base={given}: got no adapter and no run with a model.path, and nothing else has a base; leave it out"]
    return []


def base_of(saved: SavedPolicy, given: str | None, configured: str | None) -> tuple[str, list[str]]:
    """The model that a policy's weights belong to: for an adapter the one it names, if that is still there.

    Args:
        given: `base=`, which comes first.
        configured: `model.path`, which stands in for a folder that is gone, and is a copy of what the hub has.

    Returns:
        The folder or hub name, and what is wrong, a line each.
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
    # Folders first: without a network a hub's name leads nowhere.
    for one in sorted(filter(None, (named, configured)), key=_is_on_hub):
        if _is_there(one):
            return _as_loaded(one), []
    return "", [f"{saved.folder} is an adapter for {named}, which is not there; base=DIR names a copy"]


def _is_on_hub(model: str) -> bool:
    """Whether a model's name is no folder's, so that it is the hub's."""
    return not model.startswith(("/", ".", "~")) and not Path(model).is_dir()


def _is_there(model: str) -> bool:
    """Whether a model is on the hub, for all that is known here, or in its folder."""
    return _is_on_hub(model) or (local_path(model) / "config.json").is_file()


def _as_loaded(model: str) -> str:
    """A model's name or folder as transformers takes it, `~` written out."""
    return model if _is_on_hub(model) else str(local_path(model))


def load_policy(saved: SavedPolicy, base: str, dtype: str, device: torch.device) -> Policy:
    """The model that a saved policy's weights are put into: its base, or for a model folder itself.

    Args:
        base: as `base_of` found it.
        dtype: of its weights.

    Raises:
        RunError: if it cannot be loaded.
    """
    tokenizer, model = load_tokenizer(base), load_model(base, getattr(torch, dtype))
    model.to(device)  # type: ignore[arg-type]
    return Policy(model, tokenizer, base=base, lora=ANY_ADAPTER if saved.is_adapter else None)


def weights_of(saved: SavedPolicy, base: str, policy: Policy) -> Weights:
    """The weights of a saved policy, for `policy.using`; none if they are those the model was loaded with.

    Args:
        base: as `base_of` found it.

    Raises:
        RunError: if it is a policy of another base model.
    """
    apart = "show policies of different bases one after the other"
    if saved.is_adapter and not same_model(base, policy.base):
        raise RunError(f"{saved.folder} is an adapter for {base}, and the model loaded here is {policy.base}; {apart}")
    if not saved.is_adapter:
        if str(saved.folder) == policy.base:
            return {}
        if load_tokenizer(str(saved.folder)).get_vocab() != policy.tokenizer.get_vocab():
            raise RunError(
                f"{saved.folder} has another tokenizer than {policy.base}, so it is of another base model; {apart}"
            )
    return policy.read_weights(saved.folder)


def same_model(one: str, other: str) -> bool:
    """Whether two paths or hub names are the same model: the same name, or the same files."""
    return one == other or model_fingerprint(one) == model_fingerprint(other)
