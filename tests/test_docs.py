"""What the documents tell people to type is what the programs take; what they point at is there.

A block marked ```bash holds commands that run anywhere in minutes. A block that needs more says so behind the mark:
`cluster`, `gpu`, `network`, `hours`. The commands of both kinds are composed and checked here, never only quoted; the
three commands of the README are run as well, at smoke size. In capitals stand a user's own files (RUN, DIR); the tests
have such files under these names.
"""

import contextlib
import importlib.util
import io
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from analysis import aggregate
from benchmarks.plan import read_plan
from src.after_training.evaluate_request import read_evaluate_request
from src.after_training.sample_request import read_sample_request
from src.cli.compose import compose_jobs, problems_of
from src.cli.overrides import flags_first
from src.reward_fitting.config import TAKEN, pairs_as_list
from src.verify import read_command
from sweeps import keep, regime
from sweeps.grid import narrowed, read_grid
from sweeps.run import checked_jobs
from tests.classifiers import save_classifier
from tests.documents import DOCUMENTS, EXAMPLE, MADE, NEEDS, ROOT, Command, commands, prose
from tests.documents import name as name_of

# A command that several documents name is checked once, and one of an example where its files are.
FOUND = [command for document in DOCUMENTS for command in commands(document) if EXAMPLE not in command.needs]
COMMANDS = list({command.words: command for command in FOUND}.values())
# What a reader has under a name of their own, as the documents write it.
FOLDERS = ("DIR", "TLDR", "HELPFULNESS", "SMOLLM2", "MINILM")
RUNS = ("RUN", "OTHER", "outputs/first")
REWARD_MODELS = ("RM", "rm/tldr", "rm/helpfulness")
FILES = ("out.txt", "step.json", "round.json")
# What a reader may make below the project's own folders.
OWN = ("conf/local", "conf/local/default.yaml")
PROGRAMS = {"source", "export", "cd", "wandb", "vllm", "srun", "tmux"}


@pytest.fixture(scope="session")
def run_folder(finished_run: Callable[..., Path]) -> Path:
    return finished_run("run")


@pytest.fixture(scope="session")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_classifier(tmp_path_factory.mktemp("reward") / "model")
    (folder / "reward.json").write_text('{"input": "pair", "max_length": 640}\n')
    return folder


@pytest.fixture
def desk(tmp_path: Path, run_folder: Path, reward_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to type commands in, with the files that the documents name in capitals."""
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text("{}")
        for split in ("train", "validation", "test"):
            row = f'{{"prompt": "{split}", "label": "b", "chosen": "b", "rejected": "c"}}\n'
            (tmp_path / folder / f"{split}.jsonl").write_text(row)
    for folder in ("outputs", "rm"):
        (tmp_path / folder).mkdir()
    for name in RUNS:
        (tmp_path / name).symlink_to(run_folder)
    for name in REWARD_MODELS:
        (tmp_path / name).symlink_to(reward_model)
    for name in FILES:
        (tmp_path / name).write_text("response\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "secret-of-the-test")
    yield tmp_path


def train(words: list[str]) -> list[str]:
    # A server is one of the reader's own: its address only has to be one. Jobs that differ in the seed are alike.
    given = [re.sub(r"^(seed=\d+),.*", r"\1", word.replace("HOST", "localhost")) for word in words]
    return problems_of(flags_first(given))


def reward(words: list[str]) -> list[str]:
    jobs, problems = compose_jobs(flags_first([pairs_as_list(word) for word in words]), TAKEN)
    return [*problems, *(line for job in jobs for line in job.problems)]


def sweep(words: list[str]) -> list[str]:
    file, *rest = words
    named = {word.partition("=")[0]: word for word in rest if "=" in word}
    # tests/sweeps/test_files.py checks every job of every grid: here the first, with what the command says.
    grid = read_grid(ROOT / file)
    first = {key: f"{key}={values[0]}" for key, values in grid.items()}
    checked_jobs(narrowed(grid, (first | named | {"seed": "seed=0"}).values()))
    return []


def analyse(words: list[str]) -> list[str]:
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            return aggregate.problems_of(aggregate.parser().parse_args(words))
        except SystemExit:
            return [said.getvalue()]


def listened(read: Callable[[list[str]], object]) -> Callable[[list[str]], list[str]]:
    """A reader that raises at whatever is wrong."""

    def problems(words: list[str]) -> list[str]:
        read(words)
        return []

    return problems


MODULES: dict[str, Callable[[list[str]], list[str]]] = {
    "src.train": train,
    "src.sft": train,
    "src.reward": reward,
    "src.evaluate": listened(read_evaluate_request),
    "src.sample": listened(read_sample_request),
    "src.verify": listened(read_command),
    "sweeps.run": sweep,
    "sweeps.keep": listened(keep.parser().parse_args),
    "benchmarks.plan": listened(read_plan),
    "sweeps.regime": listened(regime.parser().parse_args),
}


def measurement(module: str, words: list[str]) -> list[str]:
    """A command of `benchmarks`, `reliability`, `analysis` or the tests: the module is there and knows the keys."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return [f"{module}: no such module"]
    known = Path(spec.origin).read_text() + "".join(file.read_text() for file in ROOT.glob("conf/*.yaml"))
    keys = [word.partition("=")[0] for word in words if not (ROOT / word).is_file()]
    return [f"{module}: no key {key}" for key in keys if not re.search(rf"\b{re.escape(key)}\b", known)]


def problems_with(words: list[str]) -> list[str]:
    """Everything wrong with a command line, by the program's own reading of it."""
    match words:
        case ["python", "-m", "pytest", *files]:
            return [f"{file}: no such file" for file in files if not (ROOT / file).exists()]
        case ["python", "-m", module] if module in MODULES and module not in ("src.train", "src.sft", "src.reward"):
            return []  # named without what it needs
        case ["python", "-m", module, *rest] if module in MODULES:
            return MODULES[module](rest)
        case ["python", "-m", module, *rest] if module.split(".")[0] in (
            "benchmarks",
            "reliability",
            "analysis",
            "tests",
        ):
            return measurement(module, rest)
        case ["python", "analysis/aggregate.py", *rest]:
            return analyse(rest)
        case ["torchrun", *rest] | ["accelerate", "launch", *rest]:
            module = rest.index("-m")
            configs = [rest[i + 1] for i in range(module) if rest[i] == "--config_file"]
            absent = [f"{config}: no such file" for config in configs if not (ROOT / config).is_file()]
            return absent + problems_with(["python", *rest[module:]])
        case ["make", target]:
            return [] if f"\n{target}:" in (ROOT / "Makefile").read_text() else [f"no target {target}"]
        case ["pip", "install", "-e", extra]:
            known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            return [] if extra in [f".[{one}]" for one in known] else [f"{extra}: no such extra"]
        case ["wandb", "sweep", file]:
            return [] if (ROOT / file).is_file() else [f"{file}: no such file"]
        case ["srun", *rest]:
            return problems_with(rest)
        case [program, *_] if program in PROGRAMS or program == "[" or "=" in program:
            return []
    return [f"nothing here knows {words[0]}"]


def test_commands_of_every_kind_were_found() -> None:
    typed = [command.words for command in COMMANDS]
    assert ("python", "-m", "src.train", "loss=ipo", "F=2", "-m", "seed=0,1,2") in typed
    assert len(COMMANDS) > 60
    assert {words[2] for words in typed if words[:2] == ("python", "-m")} >= set(MODULES)
    assert {mark for command in COMMANDS for mark in command.needs} == NEEDS | {"text"}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_is_one_that_its_program_takes(command: Command, desk: Path) -> None:
    assert command.needs <= NEEDS | {"text"}, "an unknown mark behind ```bash"
    assert problems_with(list(command.words)) == []


@pytest.mark.parametrize(
    "words",
    [
        "python -m src.train loss=dpoo",
        "python -m src.sft task=nothing",
        "python -m src.reward reward.stepps=3",
        "python -m src.verify nowhere",
        "python analysis/aggregate.py --figures fig9",
        "python -m reliability.kills casses=3",
        "python -m pytest tests/test_nothing.py",
        "torchrun --nproc_per_node=2 -m src.train loss=dpoo",
        "accelerate launch --config_file conf/accelerate/none.yaml -m src.train",
        "make nothing",
        "pip install -e .[nothing]",
        "wandb sweep sweeps/none.yaml",
        "nothing",
    ],
)
def test_a_wrong_command_would_be_seen(words: str, desk: Path) -> None:
    try:
        problems = problems_with(words.split())
    except Exception as error:
        problems = [str(error)]
    assert problems


PATH = re.compile(r"(?<![\w/.=-])(?:src|docs|conf|analysis|benchmarks|reliability|sweeps|tests|\.ci)/[\w./*-]*[\w*/]")


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "src" / "__init__.py"], ids=name_of)
def test_every_path_named_is_there(document: Path) -> None:
    named = {path for path in PATH.findall(document.read_text()) if "NAME" not in path and path not in (*MADE, *OWN)}
    # CHANGELOG.md tells of what is gone, too.
    absent = [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))]
    assert document.name == "CHANGELOG.md" or absent == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(document)):
        file, _, anchor = target.partition("#")
        page = (document.parent / file).resolve() if file else document
        assert page.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], target


def test_the_index_has_every_page() -> None:
    pages = {file.name for file in (ROOT / "docs").glob("*.md")} - {"README.md"}
    for index in (ROOT / "docs" / "README.md", ROOT / "README.md"):
        linked = {target.rpartition("/")[2] for target in re.findall(r"\]\(([\w/]+\.md)\)", index.read_text())}
        assert pages <= linked, index


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_blocks_say_what_they_are(document: Path) -> None:
    marks = re.findall(r"^```(.*)$", document.read_text(), re.MULTILINE)
    assert len(marks) % 2 == 0
    for mark in marks[::2]:
        language, *needs = mark.split() or [""]
        assert language in ("", "bash", "text", "python", "yaml", "bibtex"), mark
        assert language == "bash" or not needs, mark


def test_the_page_about_data_names_every_source() -> None:
    text = (ROOT / "docs" / "data.md").read_text()
    files = list((ROOT / "conf" / "source").glob("*.yaml"))
    assert len(files) >= 6
    assert all(f"`{file.stem}`" in text for file in files)


def test_the_citation_file_is_one() -> None:
    """The fields that version 1.2.0 of the Citation File Format requires, and what this project can say."""
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert said["cff-version"] == "1.2.0" and said["type"] == "software"
    assert said["message"] and said["title"] == "bpo-lab" and said["authors"] == [{"name": "The bpo-lab authors"}]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert said["version"] == version and said["license"] == "MIT"
    papers = said["references"]
    assert [paper["identifiers"][0]["value"] for paper in papers] == ["arXiv:2406.12168", "arXiv:2411.10914"]
    for paper in papers:
        assert paper["type"] and paper["title"] and paper["authors"]
        assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])
