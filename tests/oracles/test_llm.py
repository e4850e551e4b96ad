"""oracle=llm and judge=llm against an endpoint on loopback: questions asked, settings, names."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.oracles import llm
from src.oracles.base import FIRST, INVALID, SECOND, TIE
from src.oracles.comparer import Comparer
from src.oracles.llm import LlmOracle
from src.oracles.prompt_template import PromptTemplate
from src.runtime.errors import RunError
from tests.oracles.endpoint_server import KEY, TEMPLATE, Reply, by_length, served, shown
from tests.oracles.helpers import EXPECTED, PAIRS, pairs


def test_every_pair_is_asked_about_in_both_orders_once(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server:
        assert make(server).compare(*pairs()) == EXPECTED
    asked = Counter(tuple(shown(request)) for request in server.requests)
    both = [(prompt.row.prompt, *two) for prompt, a, b in zip(*pairs(), strict=True) for two in ((a, b), (b, a))]
    assert asked == Counter(both)
    assert server.keys == {f"Bearer {KEY}"} and server.paths == {"/v1/chat/completions"}
    assert {(r["model"], r["temperature"], r["max_tokens"]) for r in server.requests} == {("m", 0.0, 64)}


def test_what_a_model_does_not_take_is_not_sent(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server:
        make(server, sampling_temperature=None, max_tokens_key="max_completion_tokens").compare(*pairs(1))
    assert all(set(request) == {"model", "messages", "max_completion_tokens"} for request in server.requests)


@pytest.mark.parametrize("letter", "AB")
def test_a_model_that_prefers_a_place_makes_ties_everywhere(make: Callable[..., LlmOracle], letter: str) -> None:
    with served(lambda *_: Reply(f"Verdict: {letter}")) as server:
        assert make(server).compare(*pairs()) == [TIE] * PAIRS


@pytest.mark.parametrize("text", ["I cannot say.", "", None, "Verdict: \ud83d", "🤖" * 5000, '{"verdict": "A"}'])
def test_nonsense_is_no_vote_and_is_not_asked_for_again(make: Callable[..., LlmOracle], text: str | None) -> None:
    with served(lambda *_: Reply(text)) as server:
        for _ in range(2):
            assert make(server).compare(*pairs()) == [INVALID] * PAIRS
    assert len(server.requests) == 2 * PAIRS


def test_nonsense_in_one_order_is_no_vote(make: Callable[..., LlmOracle]) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        return Reply("hm") if shown(request)[1].startswith("other") else by_length(request)

    with served(behave) as server:
        assert make(server).compare(*pairs()) == [INVALID] * PAIRS


def test_equal_texts_are_a_tie_and_nothing_is_nothing(make: Callable[..., LlmOracle]) -> None:
    prompts = pairs(2)[0]
    with served(lambda *_: Reply("nonsense")) as server:
        assert make(server).compare(prompts, ["same", ""], ["same", ""]) == [TIE, TIE]
        assert make(server).compare([], [], []) == []
    assert server.requests == []


def test_a_question_that_is_there_twice_is_asked_once(make: Callable[..., LlmOracle]) -> None:
    prompts, first, second = pairs(1)
    with served(lambda request, _: by_length(request)) as server:
        answers = make(server).compare(prompts * 3, first * 2 + second, second * 2 + first)
    assert answers == [FIRST, FIRST, SECOND] and len(server.requests) == 2


def test_the_name_has_what_changes_verdicts(make: Callable[..., LlmOracle]) -> None:
    plain, other = make(), PromptTemplate(system="Compare well.", user=TEMPLATE["user"])
    assert plain.name == "llm:m,prompt=fd365255"  # it stands in saved result rows
    assert make(concurrency=1, timeout=1.0, cache="x", flip=0.1).name == plain.name
    changes: list[dict[str, Any]] = [{"model": "n"}, {"sampling_temperature": 1.0}, {"prompts": {"tldr": other}}]
    assert len({plain.name, *(make(**change).name for change in changes)}) == 4
    assert "temperature=1.0" in make(sampling_temperature=1.0).name


def test_all_bad_values_are_named_at_once(make: Callable[..., LlmOracle]) -> None:
    with pytest.raises(ValueError) as caught:
        make(
            base_url="ftp://x", model="", api_key_env="A-B", sampling_temperature=-1.0, max_tokens=0,
            max_tokens_key="n", concurrency=0, timeout=0.0, retries=-1, flip=0.5,
        )  # fmt: skip
    named = [line.partition(":")[0].partition("=")[0] for line in str(caught.value).splitlines()]
    assert set(named) == {
        "base_url", "model", "api_key_env", "sampling_temperature", "max_tokens", "max_tokens_key", "concurrency",
        "timeout", "retries", "flip",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"api_key_env": KEY}, {"base_url": f"https://user:{KEY}@host/v1"}, {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": f"https://host/v1#{KEY}"},
    ],
)  # fmt: skip
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(
    make: Callable[..., LlmOracle], change: dict[str, Any]
) -> None:
    with pytest.raises(ValueError) as caught:
        make(**change)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://[::1]:8000/v1", "https://api.openai.com/v1", "http://localhost:1", "http://h/"]
)
def test_addresses(make: Callable[..., LlmOracle], url: str) -> None:
    assert make(base_url=url).base_url == url


@pytest.mark.parametrize("url", ["", "localhost:8000/v1", "http://", "http://h:port/v1", "https:///v1", "http://[::1"])
def test_no_addresses(make: Callable[..., LlmOracle], url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url: expected http\(s\)://"):
        make(base_url=url)


def test_what_is_missing_is_found_before_anything_starts(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert make().problems() == []
    make().load()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(llm.importlib.util, "find_spec", lambda name: None)
    for value in (None, "", " \n"):
        monkeypatch.setenv("OTHER_KEY", value) if value is not None else monkeypatch.delenv("OTHER_KEY", raising=False)
        oracle = make(api_key_env="OTHER_KEY", task="poetry", cache=str(tmp_path / "file"))
        task, extra, key, cache = oracle.problems()
        assert "task=poetry" in task and "tldr" in task
        assert ".[llm]" in extra
        assert "OTHER_KEY" in key
        assert str(tmp_path / "file") in cache
    with pytest.raises(RunError, match=r"OTHER_KEY.*file"):
        oracle.load()


@pytest.mark.parametrize("key", ["sk-\u2026", "two\nlines", "a\x7f"])
def test_a_key_that_cannot_be_sent_is_found_and_not_repeated(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    (problem,) = make().problems()
    assert "OPENAI_API_KEY" in problem and key not in problem


def test_oracle_and_judge_count_apart(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server:
        oracle, judge = Comparer(make(server), None), Comparer(make(server), None)
        oracle.verdicts(*pairs())
        judge.verdicts(*pairs(3))
    assert oracle.spent("oracle")["oracle_calls"] == 12 and oracle.spent("oracle")["oracle_cached"] == 0
    assert judge.spent("judge") == {
        "judge_calls": 0, "judge_cached": 6, "judge_tokens": 0, "judge_completion_tokens": 0
    }  # fmt: skip


def test_what_it_said_about_a_pair_is_known_afterwards(make: Callable[..., LlmOracle]) -> None:
    with served(lambda *_: Reply("I cannot say.")) as server:
        oracle = make(server)
        prompts, first, second = pairs(1)
        oracle.compare(prompts, first, second)
        assert oracle.said(prompts[0], first[0], second[0]) == ["I cannot say."] * 2
        assert oracle.said(prompts[0], first[0], "another response") == []
