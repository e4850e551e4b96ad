"""Bad input at the command line: one message that lists everything, no traceback, nothing written."""

import json
import time
from pathlib import Path

import pytest

from src import sft, train
from src.cli.compose import compose_jobs, problems_of
from src.cli.conf import CONF
from src.cli.overrides import flags_first
from tests.commands import command
from tests.forked import Forked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("F=2 -m seed=0,1", ["-m", "F=2", "seed=0,1"]),
        ("-m F=2 seed=0,1", ["-m", "F=2", "seed=0,1"]),
        ("F=2 --cfg job loss=ipo", ["--cfg", "job", "F=2", "loss=ipo"]),
        ("F=2 -cd extra loss=ipo -m", ["-cd", "extra", "-m", "F=2", "loss=ipo"]),
        ("~experiment F=2 --config-dir=x", ["--config-dir=x", "~experiment", "F=2"]),
        ("F=2 experiment=null -m seed=0,1", ["-m", "F=2", "seed=0,1"]),
        ("", []),
    ],
)
def test_flags_go_first(arguments: str, expected: list[str]) -> None:
    assert flags_first(arguments.split()) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("losss=dpo", ["losss=dpo: no such key; did you mean loss"]),
        ("loss=dpoo", ["loss=dpoo: no such loss; did you mean dpo?"]),
        ("F=0", ["F=0: expected a whole number from 1 to T=64"]),
        ("F=T1", ["F=T1: expected a whole number from 1 to T=64"]),
        ("F=1000", ["F=1000: expected a whole number from 1 to T=64"]),
        ("F=2.5", ["F=2.5: expected a whole number"]),
        ("F=65 T=64", ["F=65"]),
        ("++sed=3", ["++sed=3: no such key; did you mean seed?"]),
        ("+loss.bta=3", ["+loss.bta=3: no such key; did you mean loss.beta"]),
        ("batch_size=-1", ["batch_size=-1: expected at least 1"]),
        ("T=0", ["T=0: expected at least 1"]),
        ("seed=-1", ["seed=-1"]),
        ("seed=x", ["seed=x: expected a whole number"]),
        ("learning_rate=0", ["learning_rate=0"]),
        ("learning_rate=nan", ["learning_rate=nan: expected a number"]),
        ("model.path=/nowhere", ["model.path=/nowhere: no model there"]),
        ("model=smollm2_135m model.path=/nowhere", ["model.path=/nowhere: no model there"]),
        ("reference=gold", ["reference: no path given; add reference.path=DIR"]),
        ("reference=gold reference.path=/nowhere", ["reference: path=/nowhere: no policy there"]),
        ("reference=ema reference.rate=2", ["reference.rate=2"]),
        ("loss.beta=0 loss.label_smoothing=0.5", ["loss.beta=0", "loss.label_smoothing=0.5"]),
        ("loss=ipo loss.label_smoothing=0.1", ["loss.label_smoothing=0.1: no such key"]),
        ("loss=simpo loss.length_normalize=true", ["loss.length_normalize=True: no such key"]),
        ("loss=simpo loss.gamma=-1", ["loss.gamma=-1"]),
        ("loss.nll=-1 loss.weighting=on", ["loss.nll=-1", "loss.weighting=on: expected one of none, wpo"]),
        ("loss=simpo reference=ema", ["loss=simpo has no reference policy, and reference=ema would change nothing"]),
        ("collect=dataset F=1 loss.weighting=wpo", ["loss.weighting=wpo divides by the policy that sampled the pairs"]),
        ("loss._target_=os.system", ["_target_ is the yaml files' own"]),
        ("data=files", ["data=files needs data.path=DIR"]),
        ("data=files data.path=/nowhere", ["data.path=/nowhere: no such folder"]),
        ("task=harmlessness", ["task=harmlessness: the embedded data has tldr, helpfulness"]),
        ("judge.temperature=1", ["judge.temperature=1.0: a judge compares exactly"]),
        ("ensemble=2", ["ensemble=2 needs LoRA members"]),
        ("ensemble=0", ["ensemble=0: expected at least 1"]),
        ("model.lora.rank=8", ["model.lora.rank=8: no such key; model.lora is null here; model=tiny_lora has one"]),
        ("model=tiny_lora model.lora.rank=0", ["model.lora.rank=0"]),
        ("device=tpu", ["device=tpu: expected auto, cpu, cuda or cuda:N"]),
        ("device=cuda:99", ["device=cuda:99: torch sees"]),
        ("~loss", ["no key can be taken away"]),
        ("lossdpo", ["lossdpo: expected key=value"]),
        ("seed=0,1", ["seed=0,1: several values need -m"]),
        ("loss=dpo,ipoo -m", ["loss=ipoo: no such loss; did you mean ipo"]),
        ("F=1,0 seed=1,-2 -m", ["F=0: expected", "seed=-2"]),
        ("evaluate.temperature=-1 collect.temperature=0", ["evaluate.temperature=-1.0", "collect.temperature=0.0"]),
        ("optimizer.betas=[0.9] optimizer.schedule=cosine", ["optimizer.betas=[0.9]", "optimizer.schedule=cosine"]),
        ("data=files data.path=tests oracle=gold judge=gold", ["oracle=gold: only the embedded data", "judge=gold"]),
        ("source=hub_tldr", ["source=hub_tldr: only data=hub has a source; add data=hub, or leave source out"]),
        ("source=null", ["source=null: no choice is null; leave source out, or choose one of hub_harmlessness"]),
        (
            "loss=null",
            ["loss=null: no choice is null; leave loss out, or choose one of dpo, ipo, robust, simpo, slic, sppo"],
        ),
        ("experiment=null,smoke -m", ["experiment=null: no choice is null; leave experiment out"]),
    ],
)
def test_every_problem_is_named(arguments: str, expected: list[str]) -> None:
    found = problems_of(flags_first(arguments.split()))
    for text in expected:
        assert any(line.startswith(text) or text in line for line in found), found


def test_all_problems_stand_in_one_message() -> None:
    found = problems_of(["losss=dpo", "lss=3", "loss=dpoo", "F=0", "++sed=3", "batch_size=-1"])
    assert [line.split(":")[0] for line in found] == [
        "loss=dpoo", "losss=dpo", "lss=3", "++sed=3", "batch_size=-1", "F=0"
    ]  # fmt: skip


def test_what_there_is_stands_once_in_a_hint() -> None:
    [problem] = problems_of(["zzz=1"])
    there = problem.partition("there are ")[2].split(", ")
    assert "task" in there and len(there) == len(set(there))


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "loss=ipo F=2 -m seed=0,1,2",
        "++seed=3 ++loss.beta=0.5",
        "F=T task=helpfulness reference=sft",
        "model=tiny_lora ensemble=3 loss=slic loss.label_smoothing=0.1",
        "experiment=smoke hydra.run.dir=x",
        "loss=dpo,ipo,slic F=1,2,T -m",
        "experiment=null F=2",
        "loss=simpo,sppo,robust reference=behavior,sft loss.nll=0,0.5 -m",
        "experiment=wpo_f2,nll_f2 -m",
        "experiment=paper_tldr data=embedded,hub -m",
        "--help",
    ],
)
def test_good_commands_have_no_problem(arguments: str) -> None:
    assert problems_of(flags_first(arguments.split())) == []


@pytest.mark.parametrize("values", [(), ("data.path=DIR", "data.train=5")])
def test_a_task_without_a_set_of_the_hub_has_one_problem_that_says_so(tmp_path: Path, values: tuple[str, ...]) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text((CONF / "task" / "tldr.yaml").read_text().replace("tldr", "mine"))
    command = [f"--config-dir={tmp_path}", "task=mine", "data=hub", *values]
    [problem] = problems_of(command)
    assert problem.startswith(
        "data=hub: it has no set for task=mine, that is, no source/hub_mine.yaml; add source=NAME"
    )
    assert problems_of([*command, "source=hub_tldr", f"data.path={tmp_path}/none"])[0].startswith("data.path=")


def test_one_problem_where_a_source_has_no_part() -> None:
    assert len(problems_of(["source=hub_tldr"])) == 1


@pytest.mark.parametrize(
    ("arguments", "path", "prompts"),
    [
        ("experiment=paper_tldr", "CarperAI/openai_summarize_tldr", 1000),
        ("experiment=paper_helpfulness", "HuggingFaceH4/helpful-anthropic-raw", 500),
        ("experiment=paper_harmlessness", "HuggingFaceH4/hh-rlhf-h4", 500),
        ("experiment=paper_tldr source=hub_tldr", "trl-lib/tldr", 1000),
        ("experiment=paper_tldr data=files data.path=tests", "tests", None),
        ("experiment=paper_tldr data=embedded", None, None),
    ],
)
def test_the_papers_sets_are_those_of_the_hub_alone(arguments: str, path: str | None, prompts: int | None) -> None:
    [job], _ = compose_jobs(arguments.split())
    assert job.plain["data"].get("path") == path and job.plain["evaluate"]["prompts"] == prompts
    assert not [line for line in job.problems if "no such key" in line]


@pytest.mark.slow
def test_the_command_fails_at_once_and_writes_nothing(tmp_path: Path) -> None:
    start = time.monotonic()
    done = command(tmp_path, "F=0", "++sed=3")
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())
    # Ten seconds on a quiet machine; tests share theirs.
    assert time.monotonic() - start < 60


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["data=files data.path=rows", "losss=dpo", "model.path=/nowhere"])
def test_bad_input_is_one_message_and_writes_nothing(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "train.jsonl").write_text(
        json.dumps({"prompt": "x"}) + "\n" + '{"prompt": "", "label": "y"}\n'
    )
    process = Forked(train.main, tmp_path, *arguments.split())
    said, _ = process.communicate()
    assert process.returncode not in (0, None)
    assert said.startswith("error: ") and "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"rows"}


def test_bad_rows_are_named_by_file_and_line(tmp_path: Path) -> None:
    rows = ['{"prompt": "a", "label": "b"}', '{"prompt": "c"}', '{"prompt": " ", "label": "d"}', "{broken"]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n")
    found = problems_of(["data=files", f"data.path={tmp_path}"])
    assert any("train.jsonl, line 2: no column 'label'" in line for line in found)
    assert any("train.jsonl, line 3: 'prompt' is empty" in line for line in found)
    assert any("train.jsonl, line 4" in line for line in found)
    assert any("validation.jsonl: no such file" in line for line in found)


@pytest.mark.nightly
@pytest.mark.slow
def test_sft_command(tmp_path: Path) -> None:
    made = command(tmp_path, "experiment=smoke", module="src.sft")
    assert made.returncode == 0, made.stderr
    assert "SFT: 12 steps" in made.stdout
    again = Forked(sft.main, tmp_path, "experiment=smoke").communicate()[0]
    assert "SFT: 12 steps" not in again and "loss" in again
    wrong = Forked(sft.main, tmp_path, "experimnt=smoke")
    said = wrong.communicate()[0]
    assert wrong.returncode == 1 and "did you mean experiment?" in said and "Traceback" not in said


def test_a_run_of_files_that_an_earlier_version_made_has_the_default_of_a_new_key(tmp_path: Path) -> None:
    from src.cli.saved_settings import _as_now

    saved = {"_target_": "src.data.files.FilesData", "path": "x", "prompt_column": "post"}
    now = _as_now("data", saved, {})
    assert (now["split"], now["path"], now["prompt_column"]) == (None, "x", "post")
