"""The mean of a policy's members, handed to vLLM servers as a LoRA adapter that they load at run time.

The calls are vLLM's own (docs/cluster.md): /v1/load_lora_adapter and /v1/unload_lora_adapter.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from src.models.policy import Policy
from src.oracles.failures import Trouble
from src.runtime.errors import error_summary
from src.samplers.completions import loaded_adapters
from src.samplers.handover import RUN, beside, place, run_label, said_in, server_facts
from src.storage.files import new_folder
from src.storage.signed import checksum

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from src.samplers.vllm import VllmSpec


@dataclass
class AdapterHandover:
    """One adapter at a time, written into a folder that the servers read.

    vLLM keeps the keys and values of prompts by the adapter's name: under a name that other weights had before, a round
    made again would sample from a mixture of both. So the name has a digest of the weights.

    Args:
        spec: of the servers.
        policy: whose mean is handed over.
        longest: tokens of the longest prompt and response together.
        folder: the run's; names the adapter, and holds it where the spec has no folder.

    Attributes:
        name: under which requests ask for the adapter.
    """

    spec: "VllmSpec"
    policy: Policy
    longest: int
    folder: Path
    name: str = field(default="", init=False)
    _label: str = field(default="", init=False)
    _versioned: set[str] = field(default_factory=set, init=False, repr=False)

    def write(self, label: str) -> None:
        """Writes the adapter of the policy's current mean."""
        self._label = f"{run_label(self.folder)}-{label}"
        here = place(self.spec.folder, self.folder, self._label)
        with new_folder(here) as unfinished:
            self.policy.save_mean(unfinished)
        self.name = f"{self._label}-{checksum(here / 'adapter_model.safetensors')[:12]}"

    def remove(self) -> None:
        """Removes what `write` wrote."""
        shutil.rmtree(place(self.spec.folder, self.folder, self._label), ignore_errors=True)

    async def check(self, client: "AsyncOpenAI") -> list[str]:
        """Checks all that a server says of itself; the adapters that it has loaded.

        Raises:
            Trouble: if it lacks something that the run needs, with all of that.
        """
        import openai

        if taken := await self._taken(client):
            raise Trouble(taken, again=False)
        body, problems = await server_facts(client, self.spec.model or self.policy.base, self.longest)
        try:
            # Loads nothing: a server that takes adapters answers that the names are missing.
            await self._call(client, "load", {})
        except openai.NotFoundError:
            problems.append("it loads no adapters at run time (VLLM_ALLOW_RUNTIME_LORA_UPDATING=True is missing)")
        except openai.APIStatusError as error:
            if error.status_code not in (400, 422):
                raise
        if problems:
            raise Trouble(f"{'; '.join(problems)}; {self.start()}", again=False)
        return loaded_adapters(body)

    async def take(self, client: "AsyncOpenAI") -> None:
        """Makes a server load the adapter, and unload what a killed attempt of this run has left there."""
        import openai

        for name in await self.check(client):
            if name.startswith(f"{run_label(self.folder)}-"):
                await self._unload(client, name)
        theirs = place(self.spec.server_folder or self.spec.folder, self.folder, self._label)
        try:
            await self._call(client, "load", {"lora_name": self.name, "lora_path": str(theirs)})
        except openai.APIStatusError as error:
            raise Trouble(self._refused(theirs, error.status_code, error_summary(error)), again=False) from None

    def _refused(self, theirs: Path, status: int, said: str) -> str:
        """Why a server has not loaded the adapter, and what to do."""
        if "rank" in said:
            why = f"the adapter's rank is {self._rank()}, and it takes less"
        elif "lora is not enabled" in said.lower() or "enable_lora" in said or "enable-lora" in said:
            why = "it was started without --enable-lora"
        else:
            why = (
                f"it cannot load the adapter {theirs}; that folder has to be there for the server too (sampler.folder, "
                f"sampler.server_folder), and the adapter's rank is {self._rank()}"
            )
        return f"{why} ({status}: {said}); {self.start()}"

    async def state(self, client: "AsyncOpenAI") -> str:
        """Whether the base's weights are still there; a server without the adapter does not know its name anyway."""
        if str(client.base_url) in self._versioned and (taken := await self._taken(client)):
            raise Trouble(taken, again=False)
        return ""

    async def _taken(self, client: "AsyncOpenAI") -> str:
        """Why a server has not the base's weights, if a run has put its own in their place; else an empty text."""
        import openai

        try:
            version = str(said_in(await beside(client, "weight_info"), "weight_version"))
        except openai.APIStatusError:  # not in development mode: its weights are its own
            return ""
        self._versioned.add(str(client.base_url))
        if not version.startswith(RUN):
            return ""
        return (
            f"a run with sampler.handover=weights has put its weights in place of the base's ({version}); start the "
            "server again, or give this run another one"
        )

    async def drop(self, client: "AsyncOpenAI") -> None:
        """Makes a server unload the adapter."""
        await self._unload(client, self.name)

    async def _unload(self, client: "AsyncOpenAI", name: str) -> None:
        import openai

        try:
            await self._call(client, "unload", {"lora_name": name})
        except (openai.NotFoundError, openai.BadRequestError):
            return  # no such adapter was loaded

    async def _call(self, client: "AsyncOpenAI", verb: str, body: dict[str, str]) -> None:
        from httpx import Response

        await client.post(f"/{verb}_lora_adapter", body=body, cast_to=Response)

    def start(self) -> str:
        """The command that starts a server."""
        base = self.spec.model or self.policy.base
        most = self.spec.max_lora_rank(self._rank())
        flags = f"--enable-lora --max-lora-rank {most} --max-model-len {self.longest}"
        return f"start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve {base} {flags}"

    def said(self) -> str:
        """How the policy is handed over, for the report."""
        members = f"the mean of {self.policy.members} members" if self.policy.members > 1 else "the policy"
        return f"{members} goes over as an adapter of rank {self._rank()}"

    def _rank(self) -> int:
        assert self.policy.lora is not None
        return self.policy.members * self.policy.lora.rank
