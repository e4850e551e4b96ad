"""What an endpoint on loopback does wrong, and the key that stands in no message and no file."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.oracles import answer_queue
from src.oracles.answers import Ledger
from src.oracles.base import INVALID, TIE
from src.oracles.llm import LlmOracle
from src.runtime.errors import RunError
from tests.oracles.endpoint_server import (
    COMPLETION_TOKENS,
    KEY,
    PROMPT_TOKENS,
    REFUSALS,
    Reply,
    by_length,
    refusal,
    served,
    shown,
)
from tests.oracles.helpers import EXPECTED, PAIRS, pairs

pytestmark = pytest.mark.slow


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


TROUBLES = {
    "500": Reply(status=500, body='{"error": {"message": "oh"}}'),
    "502 of a proxy": Reply(status=502, body="<html>\n<h1>Bad gateway</h1>", headers={"Content-Type": "text/html"}),
    "503": Reply(status=503, body=""),
    "429": Reply(status=429, body='{"error": {"message": "slow down"}}', headers={"Retry-After": "0.02"}),
    "429 in ms": Reply(status=429, body="{}", headers={"retry-after-ms": "20"}),
    "408": Reply(status=408, body="{}"),
    "closed": Reply(trouble="close"),
    "cut off": Reply("Verdict: B", trouble="cut"),
    "no JSON": Reply(body="<html>"),
    "torn JSON": Reply(body='{"choices": [{"message": {"content": "Verdict: B'),
    "nothing": Reply(body=""),
    "no choices": Reply(body='{"choices": []}'),
    "an error with 200": Reply(body='{"error": {"message": "overloaded"}}'),
    "a list": Reply(body="[1, 2]"),
    "a number for a text": Reply(body='{"choices": [{"message": {"content": 5}}]}'),
    "slow": Reply("Verdict: B", seconds=60),
    "a byte now and then": Reply("Verdict: B", trouble="drip"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_after_a_trouble_it_asks_again_and_nothing_counts_twice(make: Callable[..., LlmOracle], trouble: str) -> None:
    with served(lambda request, before: by_length(request) if before else TROUBLES[trouble]) as server:
        limit = 2.0 if trouble in ("slow", "a byte now and then") else 60.0
        oracle, ledger = make(server, concurrency=12, timeout=limit), Ledger()
        assert oracle.ask(*pairs(), ledger) == EXPECTED
    assert len(server.requests) == 4 * PAIRS
    assert set(Counter(map(json.dumps, server.requests)).values()) == {2}
    assert ledger.totals() == {
        "calls": 2 * PAIRS, "cached": 0, "tokens": 2 * PAIRS * (PROMPT_TOKENS + COMPLETION_TOKENS),
        "completion_tokens": 2 * PAIRS * COMPLETION_TOKENS,
    }  # fmt: skip


def test_it_waits_as_long_as_it_is_asked_to(make: Callable[..., LlmOracle]) -> None:
    wait = Reply(status=429, body="{}", headers={"Retry-After": "1"})
    with served(lambda request, before: by_length(request) if before else wait) as server:
        make(server, concurrency=1).compare(*pairs(1))
    first, again, *_ = server.times
    assert again - first >= 1


def test_waits_grow_and_stay_apart(make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def pause(self: object, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(answer_queue.AnswerQueue, "_pause", pause)
    monkeypatch.setattr(answer_queue, "FIRST_WAIT", 0.5)
    with (
        served(lambda *_: Reply(status=500, body="{}")) as server,
        pytest.raises(RunError, match="after 9 tries"),
    ):
        make(server, concurrency=1, retries=8).compare(*pairs(1))
    bounds = [min(0.5 * 2**number, answer_queue.LONGEST_WAIT) for number in range(8)]
    assert len(waits) == 8 and len(set(waits)) == 8
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=400, body='{"error": {"message": "no such parameter"}}'), "400 .*no such parameter"),
        (Reply(status=401, body=f'{{"error": {{"message": "bad key {KEY}"}}}}'), "401 .*bad key .*OPENAI_API_KEY"),
        (Reply(status=403, body=KEY), "403 .*check the key in OPENAI_API_KEY"),
        (Reply(status=404, body="<html>\n" * 1000), "404 .*check base_url and model"),
        (Reply(status=422, body="{}"), "422"),
        (refusal({"message": "top_p must be in (0, 1]", "type": "BadRequestError", "code": 400}), "400 .*top_p must"),
        (Reply(status=400, body='"no"'), "400"),
        (Reply(status=429, body="{}", headers={"Retry-After": "3600"}), "429 .*asks to wait for 3600 s"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
def test_what_no_retry_mends_ends_it_at_once_in_one_line(
    make: Callable[..., LlmOracle], reply: Reply, said: str
) -> None:
    with served(lambda *_: reply) as server, pytest.raises(RunError, match=said) as caught:
        make(server, concurrency=2).compare(*pairs())
    message = str(caught.value)
    assert len(server.requests) <= 2
    assert KEY not in message and "\n" not in message and len(message) < 700
    assert server.url in message and "0 of 12 answers are kept" in message


@pytest.mark.parametrize("trouble", ["500", "429", "closed", "no JSON"])
def test_after_the_last_try_what_was_answered_is_kept(make: Callable[..., LlmOracle], trouble: str) -> None:
    def behave(request: dict[str, Any], before: int) -> Reply:
        return TROUBLES[trouble] if shown(request)[0] == "prompt 4" else by_length(request)

    with served(behave) as server:
        oracle, ledger = make(server, concurrency=1, retries=2), Ledger()
        with pytest.raises(RunError, match="gave up after 3 tries.* 8 of 12 answers are kept in .*asks for none of th"):
            oracle.ask(*pairs(), ledger)
        assert len(server.requests) == 8 + 3 and ledger.totals()["calls"] == 8
        server.behave = lambda request, _: by_length(request)
        assert oracle.ask(*pairs(), ledger) == EXPECTED
    assert len(server.requests) == 8 + 3 + 4
    assert ledger.totals() | {"tokens": 0, "completion_tokens": 0} == {
        "calls": 12, "cached": 0, "tokens": 0, "completion_tokens": 0
    }  # fmt: skip


def test_requests_under_way_when_it_ends_are_not_lost(make: Callable[..., LlmOracle]) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        if shown(request)[0] == "prompt 0":
            return Reply(status=401, body="{}")
        return replace(by_length(request), seconds=0.5)

    with served(behave) as server:
        oracle = make(server, concurrency=4)
        with pytest.raises(RunError, match="2 of 12 answers are kept"):
            oracle.compare(*pairs())
    assert len(server.requests) == 4
    assert sum(len(list(Path(oracle.cache).rglob(f"*{end}"))) for end in (".json",)) == 2


@pytest.mark.parametrize("why", REFUSALS)
def test_a_question_that_is_never_answered_is_no_vote_and_stops_nothing(
    make: Callable[..., LlmOracle], why: str
) -> None:
    with served(lambda r, _: REFUSALS[why] if shown(r)[0] == "prompt 3" else by_length(r)) as server:
        expected = [*EXPECTED[:3], INVALID, *EXPECTED[4:]]
        assert make(server).compare(*pairs()) == make(server).compare(*pairs()) == expected
    assert len(server.requests) == 2 * PAIRS


def test_an_endpoint_that_is_not_there(make: Callable[..., LlmOracle]) -> None:
    with pytest.raises(RunError, match=r"127.0.0.1:1/v1: gave up after 4 tries.*no answer \(ConnectError"):
        make().compare(*pairs())


@pytest.mark.parametrize("key", ["a", "7", "A", "token", "Verdict"])
def test_any_text_is_a_key_for_an_endpoint_that_wants_none(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    ledger = Ledger()
    with served(lambda request, _: by_length(request)) as server:
        assert make(server).ask(*pairs(), ledger) == EXPECTED
    assert server.keys == {f"Bearer {key}"}
    assert ledger.totals()["tokens"] == 2 * PAIRS * (PROMPT_TOKENS + COMPLETION_TOKENS)


def test_an_endpoint_that_repeats_the_key_brings_it_into_no_file(make: Callable[..., LlmOracle]) -> None:
    with served(lambda *_: Reply(f"You are {KEY}.\nVerdict: tie")) as server:
        oracle = make(server)
        assert oracle.compare(*pairs()) == [TIE] * PAIRS
    assert not files_with(KEY, Path(oracle.cache)) and files_with("You are ***.", Path(oracle.cache))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="x" * 50 + KEY),
        Reply(status=400, body=json.dumps({"error": {"message": "x" * 175 + KEY}})),
    ],
)
def test_no_part_of_a_key_is_left_where_a_message_is_cut(make: Callable[..., LlmOracle], reply: Reply) -> None:
    with served(lambda *_: reply) as server, pytest.raises(RunError, match="xxx") as caught:
        make(server, retries=0).compare(*pairs(1))
    assert KEY[:5] not in str(caught.value)


def test_white_space_around_a_key_is_not_sent(make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    with served(lambda request, _: by_length(request)) as server:
        make(server).compare(*pairs(1))
    assert server.keys == {f"Bearer {KEY}"}
