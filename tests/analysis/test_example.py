"""The runs that come with the analysis: every figure can be drawn from them."""

import re
from pathlib import Path

import pytest

from analysis.aggregate import main
from analysis.comparable_group import comparable_groups
from analysis.example import FILE, pack, unpacked
from analysis.figures.kinds import KINDS
from analysis.names import FIGURES
from analysis.runs import read_folders
from analysis.studies import chosen_from

ROOT = Path(__file__).parents[2]


def test_every_figure_has_its_runs_and_its_picture(tmp_path: Path) -> None:
    from analysis.aggregate import parser

    with unpacked() as folder:
        runs, skipped = read_folders([folder])
        arguments = parser().parse_args([])
        groups = comparable_groups(runs, {}, 9)
        studies = [chosen_from(number, group, arguments) for number, group in enumerate(groups, 1)]
        assert skipped == [] and {part.kind.name for one in studies for part in one.choice.parts} == set(FIGURES)
        pack(folder, tmp_path / "again.zip")
    assert not folder.exists()
    assert (tmp_path / "again.zip").read_bytes() == FILE.read_bytes(), "packing again gives the same file"
    page = (ROOT / "docs" / "figures.md").read_text()
    shown = re.findall(r"^\| `(\w+)` \| !\[(.+)\]\(figures/gallery/(\w+)\.png\) \|$", page, re.MULTILINE)
    assert [(name, title, name) for name, title in ((kind.name, kind.title) for kind in KINDS)] == shown
    pictures = list((ROOT / "docs").rglob("*.png")) + list((ROOT / "docs").rglob("*.svg"))
    assert len(pictures) >= len(KINDS) and sum(file.stat().st_size for file in pictures) < 1_000_000


@pytest.mark.slow
def test_a_figure_of_the_example_at_the_width_of_a_column(tmp_path: Path) -> None:
    main(
        [
            "--example",
            "--figures",
            "fig1",
            "--style",
            "paper",
            "--format",
            "pdf,svg",
            "--reps",
            "100",
            "--out",
            str(tmp_path),
        ]
    )
    svg = (tmp_path / "figures" / "fig1.svg").read_text()
    assert f'width="{72 * 3.25:g}pt"' in svg and "<image" not in svg
    pdf = (tmp_path / "figures" / "fig1.pdf").read_bytes()
    assert b"/FontFile2" in pdf, "the font is embedded"


@pytest.mark.slow
@pytest.mark.nightly
def test_all_of_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--example", "--figures", "all", "--reps", "100", "--out", str(tmp_path)])
    drawn = {file.stem for file in tmp_path.rglob("*.svg")}
    assert drawn == set(FIGURES) and "21 runs in 2 studies" in capsys.readouterr().out
