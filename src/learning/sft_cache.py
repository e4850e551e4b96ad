"""The SFT policies that runs start from: made once, kept in a cache keyed by everything that determines them."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from filelock import FileLock, Timeout
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from src.data.splits import fingerprint
from src.data.tokenized import tokenize
from src.inference.scorer import scorer_for
from src.learning.finetune import finetune
from src.models.fingerprint import model_fingerprint
from src.models.policy import Policy
from src.models.pretrained import load_model, load_tokenizer
from src.models.scratch import make_base
from src.models.spec import ModelSpec, SftSpec
from src.models.template import Template, template_of
from src.records import Prompt, Row
from src.runtime import processes
from src.runtime.errors import RunError
from src.runtime.memory import advising
from src.runtime.report import Report
from src.storage.files import checksum, new_folder, read_rows, read_signed, signed, write_text, writing

FORMAT = 1


@dataclass(frozen=True)
class SftCache:
    """Makes and reads SFT policies.

    Args:
        folder: of the cache.
        spec: of the model, its adapters and the supervised run.
        rows: the train split.
        max_prompt_tokens: longest prompt trained on.
        max_new_tokens: longest label trained on; policies never write longer ones.
        max_label_tokens: rows with a longer label are left out, as everywhere; None for none.
        device: where policies go.
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

    def policy(self, members: int) -> Policy:
        """The SFT policy of so many members, made where it is missing.

        Of several processes the main one makes the base, and each makes members; all of them read the folders.
        """
        base = processes.from_main(self.base)
        own = processes.share([1] * members)
        parts = processes.everyone(lambda: {member: self.member(member, base) for member in own})
        folders = {member: folder for part in parts for member, folder in part.items()}
        policy = self._new_policy(base, members)
        for member, folder in sorted(folders.items()):
            if policy.layers:
                policy.load_member(member, folder)
            else:
                policy.load_state(policy.read_weights(folder))
        return policy

    def base(self) -> str:
        """The model under the adapters: the given path, or the folder of one from scratch."""
        scratch, pretrain = self.spec.scratch, self.spec.pretrain
        if scratch is None:
            return str(self.spec.path)

        def start(partial: Path) -> dict[str, Any]:
            make_base(partial, self.rows, scratch)
            return {"what": "random weights and a tokenizer"}

        random = str(self._made("base", {"scratch": asdict(scratch)}, start))
        if pretrain is None:
            return random

        def train(partial: Path) -> dict[str, Any]:
            policy = Policy(*self._load(random, "float32"), base=random, lora=None)
            return self._train(policy, 0, pretrain, "base model", partial)

        key = {"of": model_fingerprint(random), "pretrain": asdict(pretrain), "template": self.spec.template}
        return str(self._made("base", key, train))

    def member(self, index: int, base: str) -> Path:
        """The folder of one member, made if it is missing. Larger ensembles reuse the members of smaller ones."""
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

        return self._made("sft", key, train)

    def _made(self, kind: str, key: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> Path:
        """The folder of a key, made under a lock if it is missing: of jobs starting at once, one makes it."""
        limits = [self.max_prompt_tokens, self.max_new_tokens]
        common = {
            "format": FORMAT,
            "rows": fingerprint(self.rows),
            "limits": limits if self.max_label_tokens is None else [*limits, self.max_label_tokens],
            "libraries": [torch.__version__, transformers.__version__],
        }
        text = json.dumps(common | key, sort_keys=True)
        folder = self.folder.absolute() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if self._is_whole(folder):
            return folder
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f"{folder.name}.lock")
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            self.report.say(f"waiting for another process, which is making {folder}")
            held = lock.acquire()
        with held:
            if not self._is_whole(folder):
                with new_folder(folder) as partial:
                    facts = make(partial) | {"key": common | key}
                    files = sorted(file for file in partial.rglob("*") if file.is_file())
                    facts["files"] = {str(file.relative_to(partial)): checksum(file) for file in files}
                    write_text(partial / "made.json", json.dumps(signed(facts)) + "\n")
        return folder

    def _is_whole(self, folder: Path) -> bool:
        """Whether a folder was made and is as it was made; a damaged one is named, and made again to the same bits."""
        made = folder / "made.json"
        if not made.is_file():
            return False
        facts = read_signed(made, "files")
        if facts is None and _is_earlier(made):
            return True
        if facts is None:
            self.report.warn(f"{made} is damaged; what is in {folder} is made again")
            return False
        for name, digest in facts["files"].items():
            file = folder / name
            if not file.is_file() or checksum(file) != digest:
                self.report.warn(f"{file} is {'damaged' if file.is_file() else 'missing'}; it is made again")
                return False
        return True

    def _train(self, policy: Policy, member: int, spec: SftSpec, title: str, folder: Path) -> dict[str, Any]:
        """Trains member 0 of a policy with the data order of the given member, and saves it."""
        started = time.perf_counter()
        prompts = self._trained_on(template_of(policy, self.spec.template))
        with self.report.stage(f"{title}: {spec.steps} steps of {spec.batch_size} rows", spec.steps) as tick:
            scorer = scorer_for(policy.model, self.spec.tokens, self.report.warn)
            loss = finetune(policy, prompts, spec, member, scorer, lambda loss: tick(note=f"loss {loss:.3f}"))
        policy.save(folder)
        return {"what": title, "loss": loss, "rows": len(prompts), "seconds": time.perf_counter() - started}

    def _trained_on(self, template: Template) -> list[Prompt]:
        """The prompts with a label that may be learned; the same for the base and for every member."""
        if not self._prompts:
            most = self.max_prompt_tokens
            prompts = tokenize(self.rows, template, most, "train", max_label_tokens=self.max_label_tokens)
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
        Template(tokenizer, self.spec.template)  # refuses before gigabytes are read
        model = load_model(path, getattr(torch, dtype))
        longest, room = self.max_prompt_tokens + self.max_new_tokens, model.config.max_position_embeddings
        if longest > room:
            raise RunError(
                f"task.max_prompt_tokens={self.max_prompt_tokens} and task.max_new_tokens={self.max_new_tokens} make "
                f"{longest} tokens, and the model {path} reads at most {room}; lower them"
            )
        with advising("model.dtype=bfloat16 takes half of what float32 takes, model.path= a smaller model"):
            model.to(self.device)  # type: ignore[arg-type]
        return model, tokenizer


def _is_earlier(made: Path) -> bool:
    """Whether made.json is of a version without checksums; what was made then is taken as it is."""
    try:
        rows = read_rows(made)
    except RunError:
        return False
    return len(rows) == 1 and rows[0].keys() in ({"what", "key"}, {"what", "loss", "rows", "seconds", "key"})
