"""The mean of a policy's members, handed to vLLM servers as merged weights that they load in place of their own.

This takes any ensemble, and models whose every weight is trained. The calls are vLLM's own in its development mode:
/collective_rpc with `reload_weights`, /reset_prefix_cache, /update_weight_version and /weight_info. The weights travel
in a folder, which works on every device and across machines.
"""

import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from src.models.policy import Policy
from src.oracles.failures import Trouble
from src.runtime.errors import error_summary
from src.samplers.handover import RUN, beside, place, run_label, said_in, server_facts
from src.samplers.servers import Forgotten, pause
from src.storage.files import new_folder
from src.storage.signed import checksum

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from src.samplers.vllm import VllmSpec

# Tries to empty a prefix cache whose blocks a request that was given up may hold for a moment.
TRIES = 5


@dataclass
class WeightsHandover:
    """One set of weights at a time. A server has one run's weights, so it works for one run at a time.

    The base model's name stays, whatever weights stand under it: a server that was started anew, or that another run
    has taken, would answer with other weights without a word. So the weights have a version, which is compared before
    and after each request, and which is new each time that a server loads them.

    Args:
        spec: of the servers.
        policy: whose mean is handed over.
        longest: tokens of the longest prompt and response together.
        folder: the run's; holds the weights where the spec has no folder.

    Attributes:
        name: of the base model at the servers.
    """

    spec: "VllmSpec"
    policy: Policy
    longest: int
    folder: Path
    name: str = field(init=False)
    _label: str = field(default="", init=False)
    _version: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.name = self.spec.model or self.policy.base

    def write(self, label: str) -> None:
        self._label = f"{run_label(self.folder)}-{label}"
        here = place(self.spec.folder, self.folder, self._label)
        with new_folder(here) as unfinished:
            self.policy.save_merged(unfinished)
        parts = sorted(here.glob("*.safetensors"))
        self._version = f"{self._label}-{'-'.join(checksum(part)[:12] for part in parts)}"

    def remove(self) -> None:
        shutil.rmtree(place(self.spec.folder, self.folder, self._label), ignore_errors=True)

    async def check(self, client: "AsyncOpenAI") -> None:
        """Checks all that a server says of itself.

        Raises:
            Trouble: if it lacks something that the run needs, with all of that.
        """
        import openai

        _, problems = await server_facts(client, self.name, self.longest)
        try:
            await beside(client, "weight_info")
        except openai.NotFoundError:
            problems.append(
                "it takes no weights (it was started without VLLM_SERVER_DEV_MODE=1, or its vLLM has no /weight_info, "
                "as 0.32 has)"
            )
        if problems:
            raise Trouble(f"{'; '.join(problems)}; {self.start()}", again=False)

    async def take(self, client: "AsyncOpenAI") -> None:
        import openai

        await self.check(client)
        theirs = place(self.spec.server_folder or self.spec.folder, self.folder, self._label)
        try:
            # No request of an earlier attempt may go on with the new weights.
            await beside(client, "pause?mode=abort", {})
            load = {"method": "reload_weights", "kwargs": {"weights_path": str(theirs)}}
            try:
                await beside(client, "collective_rpc", load)
                await self._empty_cache(client)
                version = f"{self._version}-{secrets.token_hex(4)}"
                await beside(client, "update_weight_version", {"new_version": version})
            finally:
                await beside(client, "resume", {})
        except openai.APIStatusError as error:
            raise Trouble(
                f"it cannot load the weights in {theirs} ({error.status_code}: {error_summary(error)}); that folder "
                f"has to be there for the server too (sampler.folder, sampler.server_folder); {self.start()}",
                again=False,
            ) from None

    async def _empty_cache(self, client: "AsyncOpenAI") -> None:
        """Forgets the keys and values of prompts, which are those of the weights before."""
        for number in range(TRIES):
            if said_in(await beside(client, "reset_prefix_cache", {}), "success") is True:
                return
            await pause(number)
        raise Trouble("its prefix cache cannot be emptied, and is of other weights; start it again", again=False)

    async def state(self, client: "AsyncOpenAI") -> str:
        version = str(said_in(await beside(client, "weight_info"), "weight_version"))
        if version.startswith(f"{self._version}-"):
            return version
        if version.startswith(RUN) and not version.startswith(f"{run_label(self.folder)}-"):
            raise Trouble(
                f"another run has given it its weights ({version}); with sampler.handover=weights a server works for "
                "one run at a time",
                again=False,
            )
        raise Forgotten(f"it has other weights than it was given ({version})", again=True)

    async def drop(self, client: "AsyncOpenAI") -> None:
        """Nothing: the next run that takes the server gives it all weights anew."""

    def start(self) -> str:
        return (
            f"start it with VLLM_SERVER_DEV_MODE=1 vllm serve {self.name} --max-model-len {self.longest} (whoever "
            "reaches a server in this mode can make it do anything: keep it on a private network)"
        )

    def said(self) -> str:
        members = f"the mean of {self.policy.members} members" if self.policy.members > 1 else "the policy"
        size = sum(parameter.numel() * parameter.element_size() for parameter in self.policy.plain_weights().values())
        return f"{members} goes over as merged weights, {size / 2**20:,.1f} MiB a round"
