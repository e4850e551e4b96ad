"""The one error of the analysis: everything that keeps it from a right answer, for the user to mend."""

import unicodedata


class AnalysisError(ValueError):
    """Runs or choices that give no trustworthy result. Holds every problem found.

    Args:
        problems: what is wrong, one text each.
        hint: a way out of all of them together; below them, and none of them.
    """

    def __init__(self, problems: list[str], hint: str = "") -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{count}; nothing was written:", *(f"  - {printable(text)}" for text in problems)]
        super().__init__("\n".join([*lines, printable(hint)] if hint else lines))


def printable(text: str) -> str:
    """A text of unknown origin with everything that steers a terminal written out. Lines end at LF."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "".join(
        char.encode("unicode_escape").decode() if char != "\n" and unicodedata.category(char) in kinds else char
        for char in text
    )
