"""What is suggested after a run can be pasted."""

import io
import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from src.cli.compose import Job, checked_command, compose_jobs
from src.cli.next_commands import Typed, comparisons, say_what_next
from src.cli.overrides import flags_first, hydra_quoted
from src.runtime.report import Report

pytestmark = pytest.mark.slow


def pasted(typed: Typed) -> tuple[Job, list[list[Job]]]:
    """The job that was typed, and those of the commands that are suggested after it, as a shell reads them."""
    flags = [f"--config-dir={folder}" for folder in typed.folders]
    [job], problems = compose_jobs([*flags, *typed.words, *typed.hydras])
    assert not problems and not job.problems, job.problems
    commands = [shlex.split(command) for command in comparisons(typed, job.choices, job.plain)]
    assert all(words[:3] == ["python", "-m", "src.train"] for words in commands)
    suggested = [flags_first(words[3:]) for words in commands]
    checked = [checked_command(words) for words in suggested]
    assert [problems for _, problems in checked] == [[]] * len(suggested)
    return job, [jobs for jobs, _ in checked]


def places(jobs: list[Job]) -> list[str]:
    return [str(job.alone if len(jobs) == 1 else job.folder) for job in jobs]


def test_the_commands_differ_in_what_they_say() -> None:
    job, (rounds, reference, seeds) = pasted(Typed(["loss=ipo", "model.name=a b", "++T=8"]))
    assert rounds[0].plain["F"] == 1 and reference[0].choices["reference"] == "sft"
    assert [each.plain["seed"] for each in seeds] == [0, 1, 2]
    for each in (*rounds, *reference, *seeds):
        assert (each.choices["loss"], each.plain["model"]["name"], each.plain["T"]) == ("ipo", "a b", 8)


def test_a_run_with_one_round_is_compared_with_two(tmp_path: Path) -> None:
    _, (rounds, seeds) = pasted(Typed(["F=1", "seed=5"]))
    assert rounds[0].plain["F"] == 2 and [each.plain["seed"] for each in seeds] == [5, 6, 7]


def test_pairs_of_the_data_have_one_round() -> None:
    typed = Typed(["data=hub", "task=helpfulness", "collect=dataset", "F=1", "judge=embedding"])
    plain = {"T": 64, "F": 1, "seed": 0}
    assert comparisons(typed, {"collect": "dataset", "reference": "behavior"}, plain) == [
        "python -m src.train -m data=hub task=helpfulness collect=dataset F=1 judge=embedding seed=0,1,2"
    ]


@pytest.mark.parametrize("name", ["mine", "it's a=b,c with back\\slash"])
def test_a_folder_of_ones_own_is_not_taken_twice(name: str, tmp_path: Path) -> None:
    job, suggested = pasted(Typed(["T=8"], [f"hydra.run.dir={hydra_quoted(f'{tmp_path}/{name}')}"]))
    assert str(job.alone) == f"{tmp_path}/{name}"
    there = [place for jobs in suggested for place in places(jobs)]
    assert len({*there, str(job.alone)}) == len(there) + 1
    assert all(place.startswith(f"{tmp_path}/{name}-") for place in there)


def test_a_folder_of_runs_and_of_yaml_files_stays(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text(
        "# Mine.\n_target_: src.losses.dpo.DPO\nbeta: 0.3\nlabel_smoothing: 0.0\nlength_normalize: false\n"
    )
    _, suggested = pasted(Typed(["loss=mine"], [f"hydra.sweep.dir={tmp_path}/runs"], [str(tmp_path)]))
    assert all(place.startswith(f"{tmp_path}/runs/") for jobs in suggested for place in places(jobs))


def test_bytes_that_are_no_text_are_said_to_be_none(tmp_path: Path) -> None:
    def said(*responses: str) -> str:
        rows = [{"round": 1, "step": 4, "response": response} for response in responses]
        rows.insert(0, {"round": -1, "step": 0, "response": "\ufffd"})
        (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = io.StringIO()
        report = Report(Console(file=out, soft_wrap=True, width=60))
        say_what_next(report, tmp_path, [f"python -m src.train {'x' * 80}"])
        return out.getvalue()

    assert "50% of the responses have bytes that are no text" in said("\ufffd\ufffda", "It is blue.")
    assert "no text" not in said("It is red.", "It is blue.")
    assert f"  python -m src.train {'x' * 80}\n" in said("It is red.")
