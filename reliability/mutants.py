"""Mutation testing: each mutant is one small change to a module whose numbers matter; do its fast tests notice?

    python -m reliability.mutants                          # all modules, about an hour on one core
    python -m reliability.mutants module=src/evaluation/win_rate.py

A mutant has one operator, comparison, number, truth value or condition changed. Its tests run in a fork of one process
that has the libraries loaded; the first failing test kills it. Survivors are printed. docs/reliability.md lists the
survivors that are known to compute the same, with the reason.
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
    "src/losses/robust.py": ("tests/losses/test_robust.py",),
    "src/losses/simpo.py": ("tests/losses/test_simpo.py",),
    "src/losses/sppo.py": ("tests/losses/test_sppo.py",),
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
# Most seconds of processor time for a mutant; ends mutants that loop forever.
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
        line: line of the change.
        before, after: the expression or statement that was changed.
        source: the whole module.
    """

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module.

    Decorators, annotations and `strict=True` are not changed: no caller does what `frozen` and `strict` forbid.
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
    for index, node in enumerate(ast.walk(tree)):
        for number in range(0 if id(node) in alone else _changes(node)):
            changed = copy.deepcopy(tree)
            other = next(copied for i, copied in enumerate(ast.walk(changed)) if i == index)
            _change(other, number)
            yield Mutant(node.lineno, ast.unparse(node), ast.unparse(other), ast.unparse(changed))  # type: ignore[attr-defined]


def _changes(node: ast.AST) -> int:
    """The number of mutants of a node."""
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
            return sum(len(generator.ifs) for generator in node.generators)
        case ast.UnaryOp():
            return int(isinstance(node.op, ast.USub | ast.Not | ast.Invert))
        case ast.Constant():
            return int(type(node.value) in (int, float, bool))
    return 0


def _change(node: ast.AST, number: int) -> None:
    """Turns a node into its mutant `number`, in place."""
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
            conditions = [(generator, i) for generator in node.generators for i in range(len(generator.ifs))]
            generator, i = conditions[number]
            generator.ifs[i] = ast.UnaryOp(ast.Not(), generator.ifs[i])
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
    """Imports a module from a source text instead of its file."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self.path)

    def get_source(self, fullname: str) -> str:
        return self.source


def passes(module: str, source: str, tests: Sequence[str]) -> bool:
    """Whether the tests pass when a module has this source; they run in a fork.

    Args:
        module: path of the module's file.
        source: its text for this run.
        tests: paths for pytest.
    """
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
    """The command; exit status 0 if at least 90 % of the mutants are killed."""
    values, others, problems = own_arguments(arguments, ("module",))
    wanted = [values["module"]] if "module" in values else list(TESTS)
    problems += [f"{word}: expected module=PATH" for word in others]
    problems += [f"module={name}: expected one of {', '.join(TESTS)}" for name in wanted if name not in TESTS]
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
