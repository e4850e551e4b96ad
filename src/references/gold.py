"""A given, better policy: the control of the paper's figure 5."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from src.models.plain_lora import plain_lora_problems
from src.runtime.errors import RunError
from src.storage.checksums import damage, policy_folder

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


@dataclass(frozen=True)
class Gold:
    """A saved policy of the same base model, the same in every round.

    Args:
        path: a run's folder, its `policy/` folder, or any PEFT adapter or model folder of the same base.
        from_sampling: whether the behavior policy's log-probs are those that sampling gave (`src.collection.round`).
    """

    path: str | None
    from_sampling: bool
    trails: ClassVar[bool] = False

    def problems(self) -> list[str]:
        if self.path is None:
            return ["no path given; add reference.path=DIR, a finished run or a saved policy of the same base model"]
        if not any((self.folder / name).is_file() for name in ("adapter_config.json", "config.json")):
            return [f"path={self.path}: no policy there (expected a run's folder or its policy/ folder)"]
        problems = damage(self.folder.parent, ("policy/",))
        if not problems and (self.folder / "adapter_config.json").is_file():
            problems = plain_lora_problems(self.folder)
        return [f"path={self.path}: {line}" for line in problems]

    @property
    def folder(self) -> Path:
        """Where the policy is: `policy/` of a run's folder, or the folder itself."""
        return policy_folder(Path(self.path or ""))

    def require_fit(self, base: str) -> None:
        """Refuses an adapter that does not fit the base model of the run, before that model is loaded or trained."""
        from src.models.saved_weights import require_fitting_adapter  # imports torch

        require_fitting_adapter(self.folder, base)

    def weights(
        self, policy: "Policy", behavior: "Weights", sft: "Weights", previous: "Weights | None", steps: int
    ) -> "Weights":
        if found := damage(self.folder.parent, ("policy/",)):
            raise RunError("; ".join(found))
        return policy.read_weights(self.folder)
