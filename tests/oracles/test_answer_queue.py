"""Many requests at once, an endpoint that is down, a kill, and a cache that several runs share."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.oracles import answer_queue
from src.oracles.answers import AnswerCache, Ledger
from src.oracles.llm import LlmOracle
from src.oracles.prompt_template import PromptTemplate
from src.runtime.errors import RunError
from tests.oracles.endpoint_server import TEMPLATE, Reply, by_length, served
from tests.oracles.helpers import EXPECTED, PAIRS, pairs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_requests_are_under_way_at_once_up_to_the_limit(make: Callable[..., LlmOracle], limit: int) -> None:
    everyone = threading.Barrier(limit if limit < 2 * PAIRS else 2 * PAIRS)

    def behave(request: dict[str, Any], _: int) -> Reply:
        everyone.wait(20)  # nobody is answered before so many are under way
        return replace(by_length(request), seconds=0.1)  # time for one too many to arrive

    with served(behave) as server:
        assert make(server, concurrency=limit, timeout=30.0, retries=0).compare(*pairs()) == EXPECTED
    assert server.peak == everyone.parties


def test_an_endpoint_that_is_down_for_a_minute_is_outlasted(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the retries of conf/oracle/llm.yaml, on a clock that only the waits between tries move."""
    settings = yaml.safe_load((ROOT / "conf" / "oracle" / "llm.yaml").read_text(encoding="utf-8"))
    now = [0.0]

    async def pause(self: answer_queue.AnswerQueue, seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(answer_queue, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(answer_queue.AnswerQueue, "_pause", pause)
    down = [Reply(status=503), Reply(trouble="close"), Reply(body="<html>bad gateway</html>")]
    with served(lambda request, tries: down[tries % 3] if now[0] < 60 else by_length(request)) as server:
        oracle = make(server, concurrency=1, retries=settings["retries"])
        assert oracle.compare(*pairs(3)) == EXPECTED[:3]
    assert now[0] >= 60


def test_the_first_failure_is_said_beside_the_last(make: Callable[..., LlmOracle]) -> None:
    said = r"gave up after 2 tries, the last one: .*Error.* \(the first one: .*507"
    with (
        served(lambda request, tries: Reply(status=507) if tries == 0 else Reply(trouble="close")) as server,
        pytest.raises(RunError, match=said),
    ):
        make(server, concurrency=1, retries=1).compare(*pairs(1))


def test_answers_are_found_again_by_what_was_asked_and_nothing_else(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server, served(lambda r, _: by_length(r)) as elsewhere:
        make(server).compare(*pairs())
        for change in ({"concurrency": 1}, {"retries": 0}, {"timeout": 9.0}, {"flip": 0.1}):
            make(server, **change).compare(*pairs())
        assert len(server.requests) == 2 * PAIRS
        other = PromptTemplate(system="Compare well.", user=TEMPLATE["user"])
        changes: list[dict[str, Any]] = [
            {"model": "n"}, {"sampling_temperature": 0.5}, {"max_tokens": 65}, {"prompts": {"tldr": other}},
        ]  # fmt: skip
        for number, change in enumerate(changes, 2):
            make(server, **change).compare(*pairs())
            assert len(server.requests) == 2 * PAIRS * number
        make(elsewhere).compare(*pairs())
        assert len(elsewhere.requests) == 2 * PAIRS


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"text": "Verdict: B"}', "null", "\x00", "half"])
def test_a_torn_answer_is_asked_for_again(make: Callable[..., LlmOracle], content: str) -> None:
    with served(lambda request, _: by_length(request)) as server:
        oracle = make(server)
        oracle.compare(*pairs())
        torn = sorted(Path(oracle.cache).rglob("*.json"))[3]
        torn.write_text(torn.read_text()[:-30] if content == "half" else content)
        assert oracle.compare(*pairs()) == EXPECTED
    assert len(server.requests) == 2 * PAIRS + 1


SHARING = """
import sys
from pathlib import Path
from src.oracles.answers import Ledger
from src.oracles.llm import LlmOracle
from src.oracles.prompt_template import PromptTemplate
from src.records import Prompt, Row
url, cache = sys.argv[1:]
oracle = LlmOracle(url, "m", "OPENAI_API_KEY", "tldr", {"tldr": PromptTemplate("", "{prompt}|||{first}|||{second}")},
                   0.0, 64, "max_tokens", 4, 30.0, 0, cache, 0.0, 0.1)
prompts = [Prompt(i, Row(f"p{i}", "l"), (2,), (3,)) for i in range(20)]
ledger = Ledger()
answers = oracle.ask(prompts, ["long"] * 20, ["s"] * 20, ledger)
totals = ledger.totals()
print(set(answers), totals["calls"], totals["cached"])
"""


@pytest.mark.slow
def test_processes_that_share_a_cache_pay_once(tmp_path: Path, quick: None) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        return replace(by_length(request), seconds=0.05)

    with served(behave) as server:
        command = [sys.executable, "-c", SHARING, server.url, str(tmp_path)]
        started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        said = [process.communicate(timeout=120)[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert {one[0] for one in said} == {"{0}"}
    assert len(server.requests) == 40 == sum(int(one[1]) for one in said)
    assert [int(one[1]) + int(one[2]) for one in said] == [40, 40, 40]
    assert not list(tmp_path.rglob("*.lock")) and not list(tmp_path.rglob("*.partial"))


def test_a_kill_between_ledger_and_cache_is_paid_twice_and_counted_twice(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with served(lambda request, _: by_length(request)) as server:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(AnswerCache, "keep", killed)
            make(server, concurrency=1).ask(*pairs(1), Ledger(tmp_path / "ledger"))
        ledger = Ledger(tmp_path / "ledger")
        make(server).ask(*pairs(1), ledger)
    assert len(server.requests) == 3 == ledger.totals()["calls"]
