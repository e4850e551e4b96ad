"""The preregistered tables of README.md and docs/experiments.md are made again from the rows in the repository."""

import re

import pytest

from analysis.preregistered import claims_table, findings, primary_runs, report
from tests.documents import ROOT

PAGES = ("README.md", "docs/experiments.md")
COMMAND = re.compile(r"python -m analysis\.preregistered (docs/results/\S+\.jsonl\.gz)")


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_those_of_the_rows(page: str) -> None:
    text = (ROOT / page).read_text()
    archives = COMMAND.findall(text)
    assert archives
    for archive in archives:
        grid = primary_runs([ROOT / archive])
        assert claims_table(findings(grid)) in text
        if page == "docs/experiments.md":
            assert report(grid) in text
