"""The tree itself: where each module is tested, how long files are, and which imports which."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("src", "analysis", "benchmarks", "sweeps", "reliability")
COMMANDS = frozenset({"train", "sft", "reward", "evaluate", "sample", "verify"})
# From the ground to the commands. A file imports from its own floor or from a lower one; within a floor, see the test
# of loops. A new folder of src/ belongs to the lowest floor that its imports allow.
FLOORS = (
    frozenset({"records", "runtime"}),
    frozenset({"storage", "losses"}),
    frozenset({"models", "data", "loggers", "references"}),
    frozenset({"inference", "oracles"}),
    frozenset({"allocation", "samplers", "learning", "evaluation"}),
    frozenset({"collection", "run_folder"}),
    frozenset({"config"}),
    frozenset({"cli", "loop"}),
    frozenset({"build"}),
    frozenset({"after_training", "reward_fitting"}),
    COMMANDS,
)
# Packages outside src/, with what they may import besides themselves. src/ imports none of them.
MAY_IMPORT = {
    "src": {"src"},
    "analysis": {"analysis"},
    "benchmarks": {"benchmarks", "src"},
    "sweeps": {"sweeps", "src"},
    "reliability": {"reliability", "src", "analysis"},
}


def python_files(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


# Tests ---------------------------------------------------------------------------------------------------------------


def where_tested(package: Path) -> dict[str, list[str]]:
    """The lines `module: test_file.py, ...` of the docstring of a test package; files are relative to tests/ or it."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return {name: files.split(", ") for name, files in re.findall(r"^(\w+): (.+\.py)$", text, re.MULTILINE)}


def test_a_module_has_a_test_file_of_its_name_or_a_line_that_says_where_it_is_tested() -> None:
    """The line stands in the docstring of the test package: `module: test_file.py`."""
    missing = [
        f"{name_of(module)}: no {name_of(package)}/test_{module.stem}.py, no line in {name_of(package)}/__init__.py"
        for module in python_files("src")
        if module.name != "__init__.py"
        for package in [ROOT / "tests" / module.parent.relative_to(ROOT / "src")]
        if not (package / f"test_{module.stem}.py").is_file() and module.stem not in where_tested(package)
    ]
    assert not missing, "\n".join(missing)


def test_the_lines_that_say_where_a_module_is_tested_are_true() -> None:
    wrong = []
    for package in (file.parent for file in python_files("tests") if file.name == "__init__.py"):
        name = package.relative_to(ROOT / "tests")
        modules = next((folder for folder in (ROOT / "src" / name, ROOT / name) if folder.is_dir()), ROOT)
        for module, files in where_tested(package).items():
            wrong += [f"{module}.py"] * (not (modules / f"{module}.py").is_file())
            wrong += [file for file in files if not ((package / file).is_file() or (ROOT / "tests" / file).is_file())]
    assert not wrong


def test_no_test_file_is_imported_by_another() -> None:
    """Helpers live in modules of helpers: importing a test file would run its fixtures' names into another's."""
    importing = {
        f"{name_of(file)}:{line}"
        for file in python_files("tests")
        for name, line in imports(file)
        if any(part.startswith("test_") for part in name.split(".")[:-1])
    }
    assert not importing


# Sizes ---------------------------------------------------------------------------------------------------------------


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("files", "most"),
    [
        pytest.param(python_files(*PACKAGES), 250, id="modules"),
        pytest.param(python_files("tests"), 400, id="tests"),
        pytest.param([file for folder in PACKAGES for file in (ROOT / folder).rglob("*.js")], 400, id="JavaScript"),
    ],
)
def test_no_file_is_too_long_to_be_read_at_once(files: list[Path], most: int) -> None:
    assert files
    assert {name_of(file): lines(file) for file in files if lines(file) > most} == {}


def test_most_modules_fit_on_two_screens() -> None:
    assert median(lines(file) for file in python_files(*PACKAGES) if file.name != "__init__.py") < 100


# Imports -------------------------------------------------------------------------------------------------------------


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every absolute name that a file imports, also inside functions, with its line; not under TYPE_CHECKING."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)}:{node.lineno}: a relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
        else:
            pending += ast.iter_child_nodes(node)


def part(name: str) -> str:
    """The part of src/ that a dotted name is in: `src.loop.Experiment` is in loop, `src.data.rows` in data."""
    return name.split(".")[1]


def arrows() -> dict[str, set[tuple[str, str]]]:
    """For each part of src/, which other parts it imports, and in which line."""
    found: dict[str, set[tuple[str, str]]] = {}
    for file in python_files("src"):
        if file.parent == ROOT / "src" and file.name == "__init__.py":
            continue
        own = part(".".join(file.relative_to(ROOT).with_suffix("").parts))
        targets = found.setdefault(own, set())
        for name, line in imports(file):
            if name.startswith("src.") and part(name) != own:
                targets.add((part(name), f"{name_of(file)}:{line}"))
    return found


def test_every_part_of_src_is_on_one_floor() -> None:
    on_floors = [name for floor in FLOORS for name in sorted(floor)]
    assert sorted(on_floors) == sorted(arrows())


def test_a_file_imports_from_its_own_floor_or_a_lower_one() -> None:
    height = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    upward = [
        f"{line}: {importer} (floor {height[importer]}) imports {target} (floor {height[target]})"
        for importer, targets in arrows().items()
        for target, line in sorted(targets)
        if height[target] > height[importer]
    ]
    assert not upward, "\n".join(upward)


def loops(graph: dict[str, set[str]]) -> list[str]:
    """What is left when the nodes without a target and those without an importer are taken away again and again."""
    left = {name: set(targets) for name, targets in graph.items()}
    while True:
        imported = set().union(*left.values())
        inner = {name: targets & left.keys() for name, targets in left.items() if name in imported}
        inner = {name: targets for name, targets in inner.items() if targets}
        if inner == left:
            return sorted(left)
        left = inner


def test_no_imports_between_parts_of_src_go_in_a_loop() -> None:
    assert loops({importer: {target for target, _ in targets} for importer, targets in arrows().items()}) == []


def test_no_imports_between_files_go_in_a_loop() -> None:
    """Imports inside functions count too: a loop that waits for the first call is still one."""
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in python_files(*PACKAGES)}
    graph = {
        module: {
            target
            for name, _ in imports(file)
            for target in (name, name.rpartition(".")[0])
            if target in modules and target != module
        }
        for module, file in modules.items()
    }
    assert loops(graph) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_under_it(package: str) -> None:
    others = {*PACKAGES, "tests"} - MAY_IMPORT[package]
    assert not [
        f"{name_of(file)}:{line} imports {name}"
        for file in python_files(package)
        for name, line in imports(file)
        if name.split(".")[0] in others
    ]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}, ["b", "c"]),
        ({"a": {"a"}}, ["a"]),
    ],
)
def test_a_loop_would_be_seen(graph: dict[str, set[str]], expected: list[str]) -> None:
    assert loops(graph) == expected


def test_imports_are_seen_where_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "import os.path\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from src.loop import Experiment\n"
        "else:\n    import json\ndef f():\n    from src.data import rows\n"
    )
    assert sorted(imports(file)) == [
        ("json", 6), ("os.path", 1), ("src.data.rows", 8), ("typing.TYPE_CHECKING", 2)
    ]  # fmt: skip


# Names ---------------------------------------------------------------------------------------------------------------


def test_no_two_public_functions_or_classes_of_src_share_a_name() -> None:
    """A search for a name then finds one thing. Every command has a `main`."""
    places: dict[str, list[str]] = {}
    for file in python_files("src"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                places.setdefault(node.name, []).append(name_of(file))
    assert {name: files for name, files in places.items() if len(files) > 1 and name != "main"} == {}
