"""What a policy's responses look like before anybody is asked about them."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from src.records import Response

# Fewest responses that say something, and shares of them at which something is wrong.
ENOUGH, MOSTLY_EMPTY, NEARLY_ALL_CUT = 8, 0.5, 0.95


@dataclass
class Drawn:
    """Counts of sampled responses.

    Attributes:
        empty: responses without text.
        cut: responses that reached the length limit, without an end token.
        told: whether `oddity` has said something.
    """

    responses: int = 0
    empty: int = 0
    cut: int = 0
    told: bool = False

    def add(self, responses: Iterable[Response], end_ids: Set[int]) -> None:
        """Counts responses; one without an end token was cut."""
        for response in responses:
            self.responses += 1
            self.empty += not response.text
            self.cut += not response.ids or response.ids[-1] not in end_ids

    def oddity(self, template: str) -> str | None:
        """Why pairs of these responses teach little, with the likely cause; None if they look sound, or if it was said.

        Args:
            template: `model.template`.
        """
        if self.told or self.responses < ENOUGH:
            return None
        other = "an instruction-tuned model needs model.template=chat"
        if template == "chat":
            other = "a base model needs model.template=plain"
        text = None
        if self.empty >= MOSTLY_EMPTY * self.responses:
            text = (
                f"{self.empty} of the policy's first {self.responses} responses are empty; a likely cause is "
                f"model.template={template} ({other}), or too short an SFT (model.sft.steps)"
            )
        elif self.cut >= NEARLY_ALL_CUT * self.responses:
            text = (
                f"{self.cut} of the policy's first {self.responses} responses run to task.max_new_tokens without an "
                f"end; likely causes are too short an SFT (model.sft.steps), model.template={template} ({other}), or "
                "a limit below the labels' length"
            )
        self.told = text is not None
        return text
