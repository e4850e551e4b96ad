"""Servers without any model behind them, and requests dispatched to them."""

import asyncio
from typing import Any

import pytest

from src.oracles.failures import Trouble
from src.runtime.errors import RunError
from src.samplers import dispatch
from src.samplers.dispatch import answers_of
from src.samplers.servers import Servers

# The servers by themselves.


def of_two(timeout: float = 60.0, retries: int = 0) -> tuple[Servers, list[str]]:
    said: list[str] = []
    return Servers(["http://a/v1", "http://b/v1"], "k", 2, timeout, retries, said.append), said


async def nothing(client: Any) -> None:
    """Is always ready."""


def test_servers_that_were_lost_are_asked_again_in_the_next_round() -> None:
    calls: list[str] = []

    async def ready(client: Any) -> None:
        calls.append(str(client.base_url))
        if len(calls) == 1:
            raise Trouble("not yet", again=True)

    servers, said = of_two()
    servers.make_ready(ready)
    assert servers.lost == {"http://a/v1": "not yet"} and "http://a/v1 is lost: not yet" in said[0]
    servers.make_ready(ready)
    assert servers.lost == {} and len(calls) == 4


def test_a_server_that_does_not_answer_is_not_waited_for_longer_than_the_timeout() -> None:
    async def ask(client: Any, question: int) -> int:
        if "//a/" in str(client.base_url):
            await asyncio.sleep(600)
        return question**2

    servers, said = of_two(timeout=3.0)
    heard: list[int] = []
    assert answers_of(servers, range(9), ask, nothing, heard.append) == [number**2 for number in range(9)]
    assert [parts for parts in heard if parts] == [1] * 9
    assert list(servers.lost) == ["http://a/v1"] and "no answer within 3 s" in said[0]


def test_what_all_servers_refuse_stands_in_one_message() -> None:
    async def ready(client: Any) -> None:
        raise Trouble("wrong model", again=False)

    with pytest.raises(RunError, match="http://a/v1: wrong model; http://b/v1: wrong model"):
        of_two()[0].make_ready(ready)


def test_the_first_trouble_of_a_lost_server_is_said_beside_the_last() -> None:
    """The first one is the cause; what follows it is that nobody listens any more."""

    async def ready(client: Any) -> None:
        answers.append(1)
        raise Trouble("out of memory" if len(answers) == 1 else "no answer (ConnectError)", again=True)

    answers: list[int] = []
    servers = Servers(["http://a/v1"], "k", 2, 60.0, 1, print)
    text = r"http://a/v1: first out of memory; at last no answer \(ConnectError\)\)"
    with pytest.raises(RunError, match=text):
        servers.make_ready(ready)

    async def ask(client: Any, question: int) -> int:
        answers.append(question)
        if len(answers) == 3:
            raise Trouble("a trouble that passed", again=True)
        if len(answers) < 6:
            return question
        raise Trouble("out of memory" if len(answers) == 6 else "no answer (ConnectError)", again=True)

    answers.clear()
    servers = Servers(["http://a/v1"], "k", 1, 60.0, 1, print)
    with pytest.raises(RunError, match=text):
        answers_of(servers, range(9), ask, nothing, lambda parts: None)


def test_who_waits_for_a_long_answer_hears_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "HEARTBEAT", 0.01)
    heard: list[int] = []

    async def ask(client: Any, question: int) -> int:
        while heard.count(0) < 3:
            await asyncio.sleep(0.01)
        return question

    servers = Servers(["http://a/v1"], "k", 2, 60.0, 0, print)
    assert answers_of(servers, [7], ask, nothing, heard.append) == [7]
    assert heard.count(1) == 1 and heard[:3] == [0, 0, 0]


def test_divided_requests_leave_no_server_out() -> None:
    asked: list[str] = []

    async def ask(client: Any, question: int) -> int:
        asked.append(str(client.base_url))
        return question

    servers = Servers(["http://a/v1", "http://b/v1"], "k", 64, 60.0, 0, print)
    assert answers_of(servers, range(4), ask, nothing, lambda parts: None, divided=True) == [0, 1, 2, 3]
    assert len(set(asked)) == 2
