"""Whole runs that are labelled and judged by a language model: rows, costs, secrets, a kill."""

import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src import train
from src.cli.compose import problems_of
from src.loop import Experiment
from src.storage.rows import read_rows
from tests.experiments import built, left_behind
from tests.forked import Forked
from tests.oracles.endpoint_server import COMPLETION_TOKENS, KEY, PROMPT_TOKENS, TEMPLATE, Reply, StandIn, served, shown

pytestmark = pytest.mark.slow

COSTS = ("oracle_calls", "oracle_cached", "oracle_tokens", "judge_calls", "judge_cached", "judge_tokens")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "*")


def by_words(request: dict[str, Any], _: int) -> Reply:
    """More words are better; some texts it says nothing about."""
    _, first, second = shown(request)
    words = [len(set(text.split())) for text in (first, second)]
    if sum(words) % 7 == 0:
        return Reply("I cannot say.")
    return Reply("Verdict: tie" if words[0] == words[1] else f"Verdict: {'AB'[words[1] > words[0]]}")


def overrides(server: StandIn, answers: Path) -> list[str]:
    both = [f"base_url={server.url}", "model=m", f"cache={answers}", "concurrency=4", "retries=0"]
    both += [f"prompts.tldr.{name}='{text}'" for name, text in TEMPLATE.items()]
    return ["oracle=llm", "judge=llm", *(f"{role}.{one}" for role in ("oracle", "judge") for one in both)]


def asked(server: StandIn) -> Counter[tuple[str, ...]]:
    return Counter(tuple(shown(request)) for request in server.requests)


def with_key(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_run_labelled_and_judged_by_a_language_model(tmp_path: Path, cache: Path, capsys) -> None:
    answers = tmp_path / "answers"
    with served(by_words) as server:
        built(tmp_path / "run", cache, *overrides(server, answers)).run()
        paid = len(server.requests)
        built(tmp_path / "again", cache, *overrides(server, answers)).run()
        assert len(server.requests) == paid
    assert set(asked(server).values()) == {1}
    rows = read_rows(tmp_path / "run" / "results.jsonl")
    final = rows[-1]
    assert final["oracle"] == final["judge"] and final["oracle"].startswith("llm:m,prompt=")
    assert final["judge_is_oracle"] is True
    assert final["oracle_calls"] + final["judge_calls"] == paid
    assert 0 < final["oracle_calls"] <= 2 * final["annotated_pairs"] == 32
    assert final["judge_tokens"] == final["judge_calls"] * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert final["judge_completion_tokens"] == final["judge_calls"] * COMPLETION_TOKENS
    # The same cost of a question asked for the label and for the judge would be counted as cached; there is none here.
    assert final["oracle_cached"] == final["judge_cached"] == 0
    assert [row["judge_calls"] for row in rows] == sorted(row["judge_calls"] for row in rows)
    for row in rows:
        voted = row["wins"] + row["ties"] + row["losses"]
        assert voted + row["n_invalid"] == row["n_prompts"] * row["samples"] and row["judge_score_mean"] is None
        assert row["win_rate"] == (pytest.approx((row["wins"] + row["ties"] / 2) / voted) if voted else None)
    samples = read_rows(tmp_path / "run" / "samples.jsonl")
    assert {sample["response_score"] for sample in samples} == {None}
    assert sum(sample["outcome"] is None for sample in samples) == sum(row["n_invalid"] for row in rows) > 0
    assert server.keys == {f"Bearer {KEY}"}
    assert with_key(tmp_path) == [] and KEY not in "".join(capsys.readouterr())
    # A second run with the same answers on disk pays nothing and learns the same.
    again = read_rows(tmp_path / "again" / "results.jsonl")[-1]
    assert (again["oracle_calls"], again["judge_calls"], again["judge_tokens"]) == (0, 0, 0)
    assert (again["oracle_cached"], again["judge_cached"]) == (final["oracle_calls"], final["judge_calls"])
    first, second = (left_behind(tmp_path / name) for name in ("run", "again"))
    assert first["policy"] == second["policy"] and first["samples"] == second["samples"]


def test_free_oracles_cost_nothing(experiment: Callable[..., Experiment]) -> None:
    run = experiment()
    run.run()
    for row in read_rows(run.folder.path / "results.jsonl"):
        assert {row[name] for name in COSTS} == {0}
    assert not (run.folder.path / "answers").exists()


def test_force_counts_afresh(tmp_path: Path, cache: Path) -> None:
    with served(by_words) as server:
        lines = overrides(server, tmp_path / "answers")
        run = built(tmp_path / "run", cache, *lines)
        run.run()
        run.folder.open("", force=True)
        assert not (tmp_path / "run" / "answers").exists()
        built(tmp_path / "run", cache, *lines).run()
    assert read_rows(tmp_path / "run" / "results.jsonl")[-1]["oracle_calls"] == 0


@pytest.mark.parametrize("data", ["embedded", "files"])
@pytest.mark.parametrize("role", ["oracle", "judge"])
def test_one_role_alone_on_any_data(data: str, role: str, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"prompt": "{split}", "label": "b"}}\n')
    own = [f"data.path={tmp_path}"] if data == "files" else []
    assert problems_of([f"data={data}", *own, f"{role}=llm"]) == []


def test_what_is_wrong_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    found = problems_of(
        ["oracle=llm", "judge=llm", "oracle.task=poetry", "judge.prompts.tldr.user=Hm", "oracle.key=sk"]
    )
    assert len(found) == 4
    for part in ("OPENAI_API_KEY holds no key", "task=poetry", "judge.prompts.tldr.user: the template lacks {first}"):
        assert any(part in line for line in found), part
    assert any(line.startswith("oracle.key=sk: no such key") for line in found)


def start(tmp_path: Path, server: StandIn, cache: Path, *more: str) -> Forked:
    lines = ["experiment=smoke", f"cache={cache}", *overrides(server, tmp_path / "answers"), *more]
    return Forked(train.main, tmp_path, *lines, "hydra.run.dir=run", OPENAI_API_KEY=KEY, NO_PROXY="*")


@pytest.mark.nightly
@pytest.mark.slow
# In the first evaluation (8 questions), and in the first annotation.
@pytest.mark.parametrize("answered", [pytest.param(3, marks=pytest.mark.nightly), 19])
def test_a_run_killed_while_asking_goes_on_and_asks_only_for_the_rest(
    tmp_path: Path, cache: Path, answered: int
) -> None:
    numbers = itertools.count()

    def behave(request: dict[str, Any], before: int) -> Reply:
        return replace(by_words(request, before), seconds=600 if next(numbers) >= answered else 0)

    def kept() -> set[str]:
        return {path.name for path in (tmp_path / "answers").rglob("*.json")}

    with served(behave) as server:
        process = start(tmp_path, server, cache)
        while len(kept()) < answered or len(server.requests) < answered + 4:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert len(kept()) == answered and not (tmp_path / "run" / "checkpoint").exists()
        under_way = [tuple(shown(request)) for request in server.requests[answered:]]
        server.behave = by_words
        server.released.set()
        process = start(tmp_path, server, cache)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output
    again = [question for question, times in asked(server).items() if times > 1]
    assert sorted(again) == sorted(set(under_way)) and len(again) == 4
    with served(by_words) as other:
        built(tmp_path / "whole", cache, *overrides(other, tmp_path / "elsewhere")).run()
    assert set(asked(other)) == set(asked(server))
    row, whole = (read_rows(tmp_path / name / "results.jsonl")[-1] for name in ("run", "whole"))
    assert {name: row[name] for name in COSTS} == {name: whole[name] for name in COSTS}
    assert left_behind(tmp_path / "run")["policy"] == left_behind(tmp_path / "whole")["policy"]
    assert with_key(tmp_path) == [] and KEY not in output


@pytest.mark.slow
def test_an_endpoint_that_refuses_is_one_message(tmp_path: Path, cache: Path) -> None:
    refusal = Reply(status=401, body=f'{{"error": {{"message": "Incorrect API key: {KEY}"}}}}')
    with served(lambda *_: refusal) as server:
        process = start(tmp_path, server, cache)
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    assert "401" in output and "check the key in OPENAI_API_KEY" in output and "the same command continues" in output
    assert "Traceback" not in output and KEY not in output and with_key(tmp_path) == []
