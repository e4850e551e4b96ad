"""What a command of `src.sample` asks for: read and checked before any model is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.after_training.base_model import base_of, base_problems, has_base
from src.after_training.configuration import compose_over_run
from src.after_training.saved_policy import SFT, SavedPolicy, find_policy
from src.cli.arguments import number, own_arguments, whole_number
from src.cli.folder_list import split_folders
from src.cli.hints import nearest
from src.config import RunConfig
from src.runtime.errors import ConfigError
from src.storage.files import local_path

OWN = ("policy", "base", "prompt", "split", "n", "k", "temperature", "json")
KEYS = ("task", "data", "source", "model", "evaluate.temperature", "seed", "device", "cache", "ensemble")
# A typed prompt needs no data, unless the SFT policy answers it: that policy may have to be trained on the data first.
DATA_KEYS = ("data", "source")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class SampleRequest:
    """Prompts, and the policies to answer them.

    Attributes:
        policies: name -> the policy, and folder or hub name of its base model; None for the SFT policy.
        prompt: the typed prompt; None for prompts of the split.
        split, n: where the prompts come from, and how many.
        k: responses of each policy to a prompt.
        temperature: 0 is greedy.
        json: file to be written; None for none.
    """

    config: RunConfig
    policies: Mapping[str, tuple[SavedPolicy, str] | None]
    prompt: str | None
    split: str
    n: int
    k: int
    temperature: float
    json: Path | None

    @property
    def asks_sft(self) -> bool:
        """Whether the SFT policy is among the policies."""
        return None in self.policies.values()


def read_sample_request(arguments: Sequence[str]) -> SampleRequest:
    """Reads a command. No model is loaded.

    Args:
        arguments: key=value each, as typed after `python -m src.sample`.

    Raises:
        ConfigError: with every problem of the command.
        RunError: if the files of a policy's run are damaged.
    """
    given, rest, problems = own_arguments(arguments, OWN)
    if "policy" not in given:
        problems.append("expected policy=PATH[,PATH,..], runs or other saved policies; sft is the SFT policy")
    policies, policy_problems = _find_policies(split_folders(given["policy"]) if "policy" in given else [])
    problems += policy_problems
    if "prompt" in given and "split" in given:
        problems.append(f"split={given['split']}: there is a prompt already; type prompt= or split=, not both")
    if "prompt" in given and "n" in given:
        problems.append(f"n={given['n']}: there is one prompt, the typed one; leave n out")
    if given.get("split", "validation") not in SPLITS:
        problems.append(f"split={given['split']}: no such split; {nearest(given['split'], SPLITS)}")
    n, n_problems = whole_number(given, "n", 5)
    k, k_problems = whole_number(given, "k", 1)
    temperature, temperature_problems = number(given, "temperature")
    problems += [*n_problems, *k_problems, *temperature_problems]
    if "json" in given and local_path(given["json"]).is_dir():
        problems.append(f"json={given['json']}: that is a folder; expected a file, or a name for one")
    saved_policies = [saved for saved in policies.values() if saved]
    run = next((saved for saved in saved_policies if saved.run), None)
    problems += base_problems(given.get("base"), saved_policies) if saved_policies or SFT in policies else []
    needs_data = "prompt" not in given or None in policies.values()
    checked = [key for key in KEYS if needs_data or key not in DATA_KEYS]
    config, _, config_problems = compose_over_run(rest, run, given.get("base"), KEYS, OWN, checked)
    problems += config_problems
    with_bases: dict[str, tuple[SavedPolicy, str] | None] = {}
    for name, saved in policies.items():
        with_bases[name] = None
        if saved and config:
            # A run's own model.path is the base of that run's policy alone.
            applies = run in (None, saved) or any(_names_model(argument) for argument in rest)
            base = given.get("base") if has_base(saved) else None
            path, missing_base = base_of(saved, base, config.model.path if applies else None)
            with_bases[name] = saved, path
            problems += missing_base
    if problems or config is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return SampleRequest(
        config=config,
        policies=with_bases,
        prompt=given["prompt"].strip() if "prompt" in given else None,
        split=given.get("split", "validation"),
        n=n,
        k=k,
        temperature=config.evaluate.temperature if temperature is None else temperature,
        json=local_path(given["json"]) if "json" in given else None,
    )


def _find_policies(texts: Sequence[str]) -> tuple[dict[str, SavedPolicy | None], list[str]]:
    """The policies of a command by name, None for the SFT policy and for one that is not found; and the problems."""
    policies: dict[str, SavedPolicy | None] = {}
    problems = []
    for text in texts:
        saved, policy_problems = (None, []) if text == SFT else find_policy(text)
        name = saved.name if saved and saved.name not in policies else text
        folders = [other.folder for other in policies.values() if other]
        problems += policy_problems
        if name in policies or (saved and saved.folder in folders):
            problems.append(f"policy={text}: given twice")
        policies[name] = saved
    return policies, problems


def _names_model(argument: str) -> bool:
    """Whether the user typed another model."""
    return argument.lstrip("+").startswith(("model=", "model.path="))
