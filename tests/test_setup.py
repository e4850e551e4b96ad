"""Installation: pyproject.toml, constraints.txt, the Makefile and the README agree, and make installs what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOML["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
SUPPORTED = re.findall(r"^SUPPORTED := (.*)$", MAKEFILE, re.MULTILINE)[0].split()
PINS = {
    canonicalize_name(line.partition("==")[0]): line.partition("==")[2]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
}
REQUIREMENTS = [
    Requirement(line)
    for lines in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in lines
    if not line.startswith(PROJECT["name"])
]
# Stands for the machine's Python and for the .venv's: passes every check, and logs the other commands in `calls`.
PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c "* | "--version ") exit 0;;
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; touch "$3/bin/pip";;
    *) echo "$@" >> calls;;
esac
"""
# A shim of pyenv whose version is not selected.
REFUSING = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)], prereleases=True)


def test_pins_are_sorted_and_given_once() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [canonicalize_name(line.partition("==")[0]) for line in lines if not line.startswith("#")]
    assert names == sorted(set(names)) and all(PINS.values())


def test_supported_pythons_agree() -> None:
    bounds = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in reversed(range(40)) if f"3.{minor}" in bounds] == SUPPORTED
    oldest = SUPPORTED[-1]
    assert TOML["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert TOML["tool"]["mypy"]["python_version"] == oldest


def test_the_readme_names_the_supported_pythons() -> None:
    sentences = re.findall(r"Python 3\.\d+[^;\n]*", (ROOT / "README.md").read_text())
    named = {version for sentence in sentences for version in re.findall(r"\b3\.\d+", sentence)}
    assert {SUPPORTED[0], SUPPORTED[-1]} <= named <= set(SUPPORTED)


def machine(folder: Path, **pythons: str) -> Path:
    """A folder with the Makefile; the folder `bin` beside it, later the whole PATH, holds `pythons` and basic tools."""
    tools, project = folder / "bin", folder / "project"
    tools.mkdir()
    project.mkdir()
    for tool in ("make", "sed", "awk", "uname", "touch", "mkdir", "cp"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    for name, script in pythons.items():
        path = tools / name.replace("_", ".")
        path.write_text(script)
        path.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project)
    return project


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=project, env={"PATH": str(project.parent / "bin")}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3_13": PYTHON, "python3_12": PYTHON, "python3": PYTHON}, "python3.13"),
        ({"python3_13": REFUSING, "python3_12": PYTHON, "python3_11": PYTHON}, "python3.12"),
        ({"python3_13": REFUSING, "python3": PYTHON}, "python3"),
    ],
)
def test_make_takes_the_newest_python_that_starts(tmp_path: Path, pythons: dict[str, str], chosen: str) -> None:
    outcome = make(machine(tmp_path, **pythons), "demo")
    assert outcome.returncode == 0, outcome.stderr
    assert f"{chosen} -m venv .venv" in outcome.stdout


@pytest.mark.parametrize("arguments", [(), ("PYTHON=python3.13",), ("PYTHON=/no/python",)])
def test_make_says_which_pythons_are_supported(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    project = machine(tmp_path, python3_13=REFUSING)
    outcome = make(project, "demo", *arguments)
    assert outcome.returncode != 0 and not (project / ".venv").exists()
    assert " ".join(SUPPORTED) in outcome.stdout


def test_the_check_of_a_candidate_accepts_this_python() -> None:
    [check] = re.findall(r"^USABLE := (.*)$", MAKEFILE, re.MULTILINE)
    for versions, status in ((" ".join(SUPPORTED), 0), ("3.0", 1)):
        assert subprocess.run([sys.executable, "-c", check.replace("$(SUPPORTED)", versions)]).returncode == status


def test_demo_installs_the_package_and_setup_the_tools(tmp_path: Path) -> None:
    project = machine(tmp_path, python3=PYTHON)

    def calls(target: str) -> list[str]:
        (project / "calls").write_text("")
        outcome = make(project, target)
        assert outcome.returncode == 0, outcome.stderr
        lines = (project / "calls").read_text().splitlines()
        return [line.split("--constraint constraints.txt ")[-1] for line in lines]

    # The demo trains, then makes the page of what was trained and names it.
    demo = ["-m src.train", "analysis/aggregate.py"]
    assert calls("demo") == ["--editable .", *demo]
    assert calls("demo") == demo
    assert calls("setup") == ["--editable .[dev]"]
    assert calls("setup") == [] and calls("demo") == demo
    for changed in ("pyproject.toml", "constraints.txt"):
        for marker in ("installed", "ready"):
            os.utime(project / ".venv" / marker, (0, 0))
        os.utime(project / changed, (1, 1))
        assert calls("demo") == ["--editable .", *demo]
        assert calls("setup") == ["--editable .[dev]"]


def test_the_size_is_said_before_anything_is_installed(tmp_path: Path) -> None:
    project = machine(tmp_path, python3=PYTHON)
    before, _, after = make(project, "demo").stdout.partition("pip install")
    assert re.search(r"\d GB to download", before) and "GB" not in after
    assert "GB" not in make(project, "demo").stdout + make(project, "setup").stdout


def test_help_lists_every_target(tmp_path: Path) -> None:
    [targets] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    project = machine(tmp_path)
    for outcome in (make(project), make(project, "help")):
        lines = [line.split() for line in outcome.stdout.splitlines()]
        assert [words[:2] for words in lines] == [["make", target] for target in targets.split()]
        assert all(len(words) > 3 for words in lines)


@pytest.mark.index
@pytest.mark.nightly
def test_all_extras_resolve_to_the_pins(tmp_path: Path) -> None:
    """Pins that agree for all extras agree for each; `--ignore-installed` resolves as in a fresh environment."""
    extras, report = ",".join(PROJECT["optional-dependencies"]), tmp_path / "report.json"
    options = ["--quiet", "--dry-run", "--ignore-installed", "--report", report, "--constraint", "constraints.txt"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, f".[{extras}]"], cwd=ROOT, check=True)
    metadata = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
    names = {canonicalize_name(entry["name"]) for entry in metadata} - {PROJECT["name"]}
    assert set(PINS) - names == set()
    assert {name for name in names - set(PINS) if not name.startswith(("cuda-", "nvidia-", "triton"))} == set()


@pytest.mark.index
@pytest.mark.nightly
def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    """Built from a copy of the tracked files, since a build leaves folders in its source."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.splitlines() if (ROOT / name).is_file()]
    for name in files:
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    options = ["--quiet", "--no-deps", "--wheel-dir", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, tmp_path / "copy"], check=True)
    [wheel] = tmp_path.glob("*.whl")
    code = {name for name in files if re.match(r"(src|conf|analysis|sweeps|benchmarks|reliability)/.*\.py$", name)}
    data = {name for name in files if re.match(r"(src|conf|analysis)/", name)} - code
    assert code and data and (code | data) <= set(zipfile.ZipFile(wheel).namelist())
