"""The one error of the analysis: everything that keeps it from a right answer, for the user to mend."""


class AnalysisError(ValueError):
    """Runs or choices that give no trustworthy result. Holds every problem found."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count}; nothing was written:", *(f"  - {text}" for text in problems)]))
