"""The one error of the analysis: everything that keeps it from a trustworthy result, for the user to mend."""

import unicodedata


class AnalysisError(ValueError):
    """Runs or choices that give no trustworthy result, with every problem found.

    Args:
        problems: one text each.
        hint: a way out of all problems together, printed below them.
    """

    def __init__(self, problems: list[str], hint: str = "") -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{count}; nothing was written:", *(f"  - {printable(text)}" for text in problems)]
        super().__init__("\n".join([*lines, printable(hint)] if hint else lines))


def printable(text: str) -> str:
    """Text of unknown origin, with every character that steers a terminal escaped; LF stays."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "".join(
        char.encode("unicode_escape").decode() if char != "\n" and unicodedata.category(char) in kinds else char
        for char in text
    )
