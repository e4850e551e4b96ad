"""The SFT policies that runs start from, kept in a cache keyed by everything that determines them."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from src.data.splits import fingerprint
from src.data.tokenized import tokenize
from src.inference.scorer import scorer_for
from src.learning.finetune import finetune
from src.learning.keyed_folders import KeyedFolders
from src.models.context import require_room
from src.models.fingerprint import model_fingerprint
from src.models.policy import Policy
from src.models.pretrained import load_model, load_tokenizer
from src.models.scratch import make_base
from src.models.spec import ModelSpec, SftSpec
from src.models.stacking import require_stackable
from src.models.template import Template, template_of
from src.models.vocabulary import require_embeddings
from src.records import Prompt, Row
from src.runtime import processes
from src.runtime.errors import RunError
from src.runtime.memory import advising
from src.runtime.report import Report

# Of a random change in a weight: what an engine leaves out of it has to show more than the rounding of bfloat16.
TRIAL_SHARE = 0.2
FORMAT = 2  # part of every key: to be raised when the same settings begin to give other policies


@dataclass(frozen=True)
class SftCache:
    """Makes and reads SFT policies.

    Args:
        folder: of the cache.
        spec: of the model, its adapters and the SFT.
        rows: the train split.
        max_prompt_tokens: of the longest prompt trained on.
        max_new_tokens: of the longest label trained on; policies never write longer responses.
        max_label_tokens: rows with a longer label are left out of all splits; None: no limit.
        device: of the policies.
        report: shows progress.
    """

    folder: Path
    spec: ModelSpec
    rows: list[Row]
    max_prompt_tokens: int
    max_new_tokens: int
    max_label_tokens: int | None
    device: torch.device
    report: Report
    _prompts: list[Prompt] = field(default_factory=list, init=False)
    _members: list[int] = field(default_factory=lambda: [1], init=False)  # sizes of the ensembles asked for

    def policy(self, members: int) -> Policy:
        """The SFT policy with the given number of members; members that are missing in the cache are made.

        The main process makes the base, and processes divide the members. All processes read all folders.

        Raises:
            RunError: if there is nothing to train on, or the model cannot read texts as long as the limits allow.
            OutOfMemory: if the model does not fit on the device.
        """
        self._members.append(members)
        base = processes.from_main(self.base)
        local = processes.local_indices([1] * members)
        parts = processes.run_everywhere(lambda: {member: self.member(member, base) for member in local})
        folders = {member: folder for part in parts for member, folder in part.items()}
        policy = self._new_policy(base, members)
        for member, folder in sorted(folders.items()):
            if policy.layers:
                policy.load_member(member, folder)
            else:
                policy.load_state(policy.read_weights(folder))
        return policy

    def trial(self, members: int) -> tuple[Policy, list[Prompt]]:
        """A policy to try an engine with before SFT, and the training prompts.

        The policy is the base model, changed at random as training would change it.

        Raises:
            RunError, OutOfMemory: as `policy`.
        """
        self._members.append(members)
        policy = self._new_policy(processes.from_main(self.base), members)
        policy.perturb(0, TRIAL_SHARE)
        return policy, self._training_prompts(template_of(policy, self.spec.template))

    def base(self) -> str:
        """The base model's path: the one in the settings, or the folder of a model made from scratch."""
        scratch, pretrain = self.spec.scratch, self.spec.pretrain
        if scratch is None:
            return str(self.spec.path)

        def start(partial: Path) -> dict[str, Any]:
            make_base(partial, self.rows, scratch)
            return {"what": "random weights and a tokenizer"}

        random = str(self._folder("base", {"scratch": asdict(scratch)}, start))
        if pretrain is None:
            return random

        def train(partial: Path) -> dict[str, Any]:
            policy = Policy(*self._load(random, "float32"), base=random, lora=None)
            return self._train(policy, 0, pretrain, "base model", partial)

        key = {"of": model_fingerprint(random), "pretrain": asdict(pretrain), "template": self.spec.template}
        return str(self._folder("base", key, train))

    def member(self, index: int, base: str) -> Path:
        """The folder of a member, made if it is missing. Larger ensembles reuse the members of smaller ones.

        Args:
            index: of the member.
            base: path of the base model.
        """
        spec = self.spec
        lora = asdict(spec.lora) if spec.lora else None
        key = {
            "base": model_fingerprint(base),
            "lora": lora,
            "sft": asdict(spec.sft),
            "member": index,
            "template": spec.template,
            "dtype": spec.dtype,
        }

        def train(partial: Path) -> dict[str, Any]:
            policy = self._new_policy(base, 1)
            policy.initialize_adapters(spec.sft.seed + index)
            return self._train(policy, index, spec.sft, f"SFT, member {index}" if lora else "SFT", partial)

        return self._folder("sft", key, train)

    def _folder(self, kind: str, key: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> Path:
        """The folder of a key, made if it is missing; what is common to all policies is added to the key."""
        limits = [self.max_prompt_tokens, self.max_new_tokens]
        common = {
            "format": FORMAT,
            "rows": fingerprint(self.rows),
            "limits": limits if self.max_label_tokens is None else [*limits, self.max_label_tokens],
            "libraries": [torch.__version__, transformers.__version__],
        }
        return KeyedFolders(self.folder, common, self.report).get(kind, key, make)

    def _train(self, policy: Policy, member: int, spec: SftSpec, title: str, folder: Path) -> dict[str, Any]:
        """Trains a policy with one member, with the data order of `member`, and saves it; facts for `made.json`."""
        started = time.perf_counter()
        prompts = self._training_prompts(template_of(policy, self.spec.template))
        with self.report.stage(f"{title}: {spec.steps} steps of {spec.batch_size} rows", spec.steps) as tick:
            scorer = scorer_for(policy.model, self.spec.tokens, self.report.warn)
            require_stackable(policy.model, max(self._members))  # a member learns alone here, but not in a run
            loss = finetune(policy, prompts, spec, member, scorer, lambda loss: tick(note=f"loss {loss:.3f}"))
        policy.save(folder)
        return {"what": title, "loss": loss, "rows": len(prompts), "seconds": time.perf_counter() - started}

    def _training_prompts(self, template: Template) -> list[Prompt]:
        """The prompts whose labels policies could write; the same ones for the base and for every member."""
        if not self._prompts:
            prompts = tokenize(
                self.rows, template, self.max_prompt_tokens, "train", max_label_tokens=self.max_label_tokens
            )
            self._prompts.extend(prompt for prompt in prompts if len(prompt.label_ids) <= self.max_new_tokens)
            if not self._prompts:
                raise RunError(
                    f"no label has at most task.max_new_tokens={self.max_new_tokens} tokens: nothing to train on"
                )
            if left_out := len(prompts) - len(self._prompts):
                self.report.say(
                    f"SFT: {left_out} of {len(prompts)} labels have more than {self.max_new_tokens} tokens and are "
                    "left out (task.max_new_tokens)"
                )
        return self._prompts

    def _new_policy(self, base: str, members: int) -> Policy:
        return Policy(
            *self._load(base, self.spec.dtype),
            base=base,
            lora=self.spec.lora,
            members=members,
            gradient_checkpointing=self.spec.gradient_checkpointing,
        )

    def _load(self, path: str, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        tokenizer = load_tokenizer(path)
        template = Template(tokenizer, self.spec.template)  # raises before gigabytes are read
        model = load_model(path, getattr(torch, dtype))
        around = [*template.prompt_ids("a"), *template.response_ids("b"), *template.end_ids]
        require_embeddings(tokenizer, model, path, around)
        require_room(model, path, self.max_prompt_tokens, self.max_new_tokens)
        with advising("model.dtype=bfloat16 takes half of what float32 takes, model.path= a smaller model"):
            model.to(self.device)  # type: ignore[arg-type]
        return model, tokenizer
