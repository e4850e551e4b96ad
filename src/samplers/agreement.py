"""How far another engine's log-probs may be from the scorer's: as far as the precisions of both explain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from src.runtime.errors import RunError

# Mean differences in nats a token. Two engines in float32 differ by 1e-7 to 1e-5, one of them in bfloat16 by about
# 0.01. No precision explains more than MOST, or half of it where the policy here computes in float32.
FLOAT32, MOST = 1e-4, 0.1
# A round may differ by more than the trial before SFT: its adapters and responses are others.
TIMES = 10.0


@dataclass
class Agreement:
    """What one engine's log-probs have to agree with.

    Differences are mean absolute differences between the engine's log-prob of a response and the scorer's, in nats a
    token, by the server that sampled.

    Args:
        float32: whether the policy here computes in float32.
        warn_above, end_above: limits of a round; None: from `explained`.

    Attributes:
        explained: the largest difference of the trial before SFT, with random changes to the base model, which only
            rounding explains; None if there was no trial.
    """

    float32: bool
    warn_above: float | None
    end_above: float | None
    explained: float | None = field(default=None, init=False)

    @property
    def ends_at(self) -> float:
        """A difference above this ends the run."""
        if self.end_above is not None:
            return self.end_above
        if self.explained is None:
            return self._most
        least = 10 * FLOAT32 if self.explained <= FLOAT32 else MOST
        return min(max(TIMES * self.explained, least), 2 * MOST)

    @property
    def _most(self) -> float:
        """What no precision explains."""
        return MOST / 2 if self.float32 else MOST

    @property
    def warns_at(self) -> float:
        """A difference above this is warned of."""
        if self.warn_above is not None:
            return self.warn_above
        return self.ends_at / 2

    def try_out(self, differences: Mapping[str, float], warn: Callable[[str], None]) -> None:
        """Takes the differences of the trial before SFT.

        Args:
            differences: server -> difference.
            warn: hears of a difference that only another precision explains.

        Raises:
            RunError: if no precision explains a server's difference.
        """
        most = self.end_above or self._most
        if wrong := {server: apart for server, apart in differences.items() if not apart <= most}:
            raise RunError(
                f"{_listed(wrong)}: with the same random changes to the base model, that is how far the log-probs "
                f"are from those computed here, in nats a token, and rounding explains less than {most:g}; nothing was "
                "trained or annotated. In order of likelihood: another model is served under the base's name (other "
                "weights, a fine-tuned one, quantized weights or cache); --logprobs-mode is not raw_logprobs; the "
                "change is applied in part (the server's log may name what it leaves out; vLLM 0.32's build for CPUs "
                "keeps a copy of an output layer that is tied to the embeddings, which matters where all weights are "
                "trained); --hf-overrides or another generation of the model's code"
            )
        self.explained = max(differences.values(), default=None)
        if self.float32 and self.explained is not None and self.explained > FLOAT32:
            warn(
                f"the policy computes in float32 here, and the servers in another precision ({_listed(differences)} "
                "nats a token from the scorer's log-probs): responses are those of the policy up to that; vllm serve "
                "--dtype float32 makes them the policy's own"
            )

    def judge(self, differences: Mapping[str, float], warn: Callable[[str], None]) -> None:
        """Takes the differences of a round's first responses.

        Args:
            differences: server -> difference.
            warn: hears of differences that are large, but may be rounding.

        Raises:
            RunError: if a server's difference is above `ends_at`.
        """
        known = (
            f"{self.explained:.1e} is explained by the precisions (measured before SFT)"
            if self.explained is not None
            else "the precisions were not compared before, as the run is a resumed one"
        )
        measured = "that is how far the log-probs of the round's first responses are from those computed here, in nats"
        if wrong := {server: apart for server, apart in differences.items() if not apart <= self.ends_at}:
            raise RunError(
                f"{_listed(wrong)}: {measured} a token; {known}, and more than {self.ends_at:.1e} ends a run: the "
                "responses are not the policy's. None of them was annotated or kept. In order of likelihood: the "
                "server mixes what it has read with other weights (start it again; --no-enable-prefix-caching rules "
                "this out); it was started with another model, dtype or quantization than before; it applies the "
                "adapter in part (its log names the layers); --logprobs-mode is not raw_logprobs. Then the same "
                "command goes on; sampler.end_above=NUMBER is the limit"
            )
        if large := {server: apart for server, apart in differences.items() if apart > self.warns_at}:
            warn(
                f"{_listed(large)}: {measured} a token; {known}. The responses may be another policy's: compare the "
                "base model, its dtype (vllm serve --dtype) and --logprobs-mode"
            )


def _listed(differences: Mapping[str, float]) -> str:
    return ", ".join(f"{server}: {difference:.1e}" for server, difference in differences.items())
