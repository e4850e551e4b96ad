"""Servers without any model behind them, and requests dispatched to them."""

import asyncio
from typing import Any

import pytest

from src.oracles.failures import Trouble
from src.runtime.errors import RunError
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
    assert heard == [1] * 9 and list(servers.lost) == ["http://a/v1"] and "no answer within 3 s" in said[0]


def test_what_all_servers_refuse_stands_in_one_message() -> None:
    async def ready(client: Any) -> None:
        raise Trouble("wrong model", again=False)

    with pytest.raises(RunError, match="http://a/v1: wrong model; http://b/v1: wrong model"):
        of_two()[0].make_ready(ready)
