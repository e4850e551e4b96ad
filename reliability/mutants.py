"""Mutation testing: one small change at a time to a module whose numbers matter; do its fast tests notice?

    python -m reliability.mutants                          # all modules, about an hour on one core
    python -m reliability.mutants module=src/evaluation/win_rate.py

A mutant is the module with one operator, comparison, number, truth value or condition changed. Each is tried in a fork
of one warm process, which has the libraries loaded, and is killed by the first test that fails. Survivors are printed
as a diff; those that are known to compute the same are listed, with the reason, in docs/reliability.md.
"""

import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.cli.arguments import own_arguments
from src.runtime.errors import ConfigError

TESTS: dict[str, tuple[str, ...]] = {
    "src/losses/base.py": ("tests/losses",),
    "src/losses/dpo.py": ("tests/losses/test_dpo.py",),
    "src/losses/ipo.py": ("tests/losses/test_ipo.py",),
    "src/losses/slic.py": ("tests/losses/test_slic.py",),
    "src/learning/schedule.py": ("tests/learning/test_schedule.py",),
    "src/evaluation/win_rate.py": ("tests/evaluation/test_win_rate.py",),
    "analysis/intervals.py": ("tests/analysis/test_intervals.py",),
    "analysis/cells.py": ("tests/analysis/test_cells.py",),
    "src/inference/row_layout.py": ("tests/inference/test_row_layout.py",),
    "src/inference/lm_head.py": ("tests/inference/test_lm_head.py",),
    "src/inference/scorer.py": ("tests/inference/test_scorer.py",),
}
LIBRARIES = (
    "hypothesis",
    "matplotlib",
    "peft",
    "pytest",
    "rliable.library",
    "scipy.optimize",
    "transformers.models.llama",
)
# Seconds of processor time that a mutant may take; one that loops for ever is killed by it.
LIMIT = 30
BINARY: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
}  # fmt: skip
COMPARED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        line: where.
        before, after: the line's statement or expression.
        source: the whole module.
    """

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module.

    Left alone: decorators (`frozen=True` forbids what nobody does), annotations, and `strict=True`, which finds
    errors that no caller makes.
    """
    tree = ast.parse(source)
    alone = set()
    for node in ast.walk(tree):
        parts = [
            *getattr(node, "decorator_list", ()),
            getattr(node, "annotation", None),
            getattr(node, "returns", None),
        ]
        parts += [node.value] if isinstance(node, ast.keyword) and node.arg == "strict" else []
        alone |= {id(below) for part in parts if part is not None for below in ast.walk(part)}
    for place, node in enumerate(ast.walk(tree)):
        for number in range(0 if id(node) in alone else _changes(node)):
            changed = copy.deepcopy(tree)
            other = next(one for at, one in enumerate(ast.walk(changed)) if at == place)
            _change(other, number)
            yield Mutant(node.lineno, ast.unparse(node), ast.unparse(other), ast.unparse(changed))  # type: ignore[attr-defined]


def _changes(node: ast.AST) -> int:
    """How many mutants a node makes."""
    match node:
        case ast.BinOp() | ast.AugAssign():
            return int(type(node.op) in BINARY)
        case ast.Compare():
            return len(node.ops)
        case ast.BoolOp() | ast.If() | ast.IfExp() | ast.While():
            return 1
        case ast.comprehension():
            return 0
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return sum(len(one.ifs) for one in node.generators)
        case ast.UnaryOp():
            return int(isinstance(node.op, ast.USub | ast.Not | ast.Invert))
        case ast.Constant():
            return int(type(node.value) in (int, float, bool))
    return 0


def _change(node: ast.AST, number: int) -> None:
    """Makes a node its mutant, in place."""
    match node:
        case ast.BinOp() | ast.AugAssign():
            node.op = BINARY[type(node.op)]()
        case ast.Compare():
            node.ops[number] = COMPARED[type(node.ops[number])]()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.If() | ast.IfExp() | ast.While():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            places = [(one, at) for one in node.generators for at in range(len(one.ifs))]
            one, at = places[number]
            one.ifs[at] = ast.UnaryOp(ast.Not(), one.ifs[at])
        case ast.UnaryOp():
            node.op = (
                ast.UAdd()
                if isinstance(node.op, ast.USub)
                else ast.Not()
                if isinstance(node.op, ast.Invert)
                else node.op
            )
            if isinstance(node.op, ast.Not):
                node.operand = ast.UnaryOp(ast.Not(), node.operand)
        case ast.Constant():
            if isinstance(node.value, bool):
                node.value = not node.value
            elif isinstance(node.value, int):
                node.value += 1
            elif isinstance(node.value, float):
                node.value = node.value * 1.5 + 0.1


class Source(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives Python a module's source in place of its file."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self.path)

    def get_source(self, fullname: str) -> str:
        return self.source


def passes(module: str, source: str, tests: Sequence[str]) -> bool:
    """Whether the tests pass on a module with this source, in a fork."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + LIMIT, used + LIMIT + 5))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    import pytest

    try:
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        options += [] if module == "src/inference/scorer.py" else ["--noconftest"]
        sys.meta_path.insert(0, Source(module.removesuffix(".py").replace("/", "."), module, source))
        status = int(pytest.main([*options, *tests]))
    except BaseException:
        status = 1
    os._exit(status)


def main(arguments: Sequence[str]) -> int:
    """The command; 0 if at least 90 % of the mutants are killed."""
    own, others, problems = own_arguments(arguments, ("module",))
    wanted = [own["module"]] if "module" in own else list(TESTS)
    problems += [f"{one}: expected module=PATH" for one in others]
    problems += [f"module={one}: expected one of {', '.join(TESTS)}" for one in wanted if one not in TESTS]
    if problems:
        sys.exit(f"error: {ConfigError(problems)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LIBRARIES:
        importlib.import_module(library)
    if any(name.startswith("src.losses") or name.startswith("analysis") for name in sys.modules):
        raise RuntimeError("a module under test is loaded already")
    killed = count = 0
    for module in wanted:
        source, started = Path(module).read_text(encoding="utf-8"), time.monotonic()
        if not passes(module, ast.unparse(ast.parse(source)), TESTS[module]):
            raise RuntimeError(f"{module}: its tests fail as it is")
        alive, number = [], 0
        for number, mutant in enumerate(mutants(source), 1):  # noqa: B007
            if passes(module, mutant.source, TESTS[module]):
                alive.append(mutant)
                sys.stdout.write(f"  {module}:{mutant.line}: {mutant.before}\n    survives as {mutant.after}\n")
                sys.stdout.flush()
        killed, count = killed + number - len(alive), count + number
        seconds = time.monotonic() - started
        sys.stdout.write(f"{module}: {number - len(alive)} of {number} killed ({seconds:.0f} s)\n")
        sys.stdout.flush()
    sys.stdout.write(f"{killed} of {count} mutants killed ({killed / max(count, 1):.1%})\n")
    return int(killed < 0.9 * count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
