"""oracle=llm and judge=llm against an endpoint on loopback: verdicts, troubles, the cache, costs, and a kill."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.oracles import endpoint, llm
from src.oracles.answers import Answer, AnswerCache, Ledger
from src.oracles.base import FIRST, INVALID, SECOND, TIE
from src.oracles.comparer import Comparer
from src.oracles.endpoint import read_answer, retry_after
from src.oracles.llm import LlmOracle, Template, in_both_orders, verdict
from src.records import Prompt, Row
from src.runtime.errors import RunError
from tests.oracles.endpoint_server import (
    COMPLETION_TOKENS,
    KEY,
    PROMPT_TOKENS,
    REFUSALS,
    TEMPLATE,
    Reply,
    StandIn,
    by_length,
    refusal,
    served,
    shown,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
PAIRS = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(endpoint, "LOOK_AGAIN", 0.01)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., LlmOracle]:
    def made(server: StandIn | None = None, **changes: Any) -> LlmOracle:
        plain = LlmOracle(
            base_url=server.url if server else "http://127.0.0.1:1/v1", model="m", api_key_env="OPENAI_API_KEY",
            task="tldr", prompts={"tldr": Template(**TEMPLATE)}, sampling_temperature=0.0, max_tokens=64,
            max_tokens_key="max_tokens", concurrency=4, timeout=60.0, retries=3, cache=str(tmp_path / "cache"),
            flip=0.0,
        )  # fmt: skip
        return replace(plain, **changes)

    return made


def pairs(count: int = PAIRS) -> tuple[list[Prompt], list[str], list[str]]:
    """Pairs whose first response is longer, is shorter, or as long, in turn."""
    prompts = [Prompt(number, Row(f"prompt {number}", "label"), (2,), (3,)) for number in range(count)]
    first = [f"first {number}" + "x" * (2 - number % 3) for number in range(count)]
    return prompts, first, [f"other {number}x" for number in range(count)]


EXPECTED = [FIRST, TIE, SECOND] * (PAIRS // 3)


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


# Questions and verdicts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Verdict: A", FIRST), ("Verdict: B", SECOND), ("Verdict: tie", TIE), ("verdict:a", FIRST),
        ("A is shorter.\nVerdict: B\n\n  \n", SECOND), ("**Verdict: A**", FIRST), ("**Verdict:** B.", SECOND),
        ("  Verdict : Tie.  ", TIE), ("Verdict: A\r\n", FIRST), ("Verdict: A\nNo, wait.\nVerdict: B", SECOND),
        ("", INVALID), ("\n\n", INVALID), ("A", INVALID), ("Verdict:", INVALID), ("Verdict: C", INVALID),
        ("Verdict: A or B", INVALID), ("Verdict: AB", INVALID), ("Verdict: A B", INVALID), ("Verdict: [A]", INVALID),
        ("Verdict: A\nI hope this helps.", INVALID), ("The verdict: A", INVALID), ("Verdict: t i e", INVALID),
        ("Verdict: neither", INVALID), ("Verdict A", INVALID), ("Verdict: A!", INVALID), ("\ufffd\x00" * 9, INVALID),
    ],
)  # fmt: skip
def test_a_verdict_is_the_last_line_and_nothing_else(answer: str, expected: int) -> None:
    assert verdict(answer) == expected


@pytest.mark.parametrize(
    ("shown_first", "shown_second", "expected"),
    [
        (FIRST, SECOND, FIRST), (SECOND, FIRST, SECOND), (TIE, TIE, TIE), (FIRST, FIRST, TIE), (SECOND, SECOND, TIE),
        (FIRST, TIE, TIE), (TIE, SECOND, TIE), (INVALID, SECOND, INVALID), (FIRST, INVALID, INVALID),
        (TIE, INVALID, INVALID), (INVALID, INVALID, INVALID),
    ],
)  # fmt: skip
def test_both_orders_make_one_verdict(shown_first: int, shown_second: int, expected: int) -> None:
    assert in_both_orders(shown_first, shown_second) == expected


def test_texts_go_in_as_they_are() -> None:
    template = Template(system='{"as": "{json}"} \\1', user="P {prompt} A {first} B {second} {} {0} {unknown}")
    texts = ["{first} {second} \\g<0> {", "{prompt} %s {0}", "}} {first}\n| ü \u2028 {"]
    system, user = template.messages(*texts)
    assert system == {"role": "system", "content": '{"as": "{json}"} \\1'}
    assert user == {"role": "user", "content": f"P {texts[0]} A {texts[1]} B {texts[2]} {{}} {{0}} {{unknown}}"}


def test_half_surrogates_can_be_sent() -> None:
    content = Template(**TEMPLATE).messages("\ud83d", "a", "b")[1]["content"]
    assert content.encode() and content.endswith("|||a|||b")


def test_a_template_without_its_texts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"user: the template lacks \{prompt\}, \{second\}"):
        Template(system="Compare {first}", user="{Prompt} { second }")


# Asking --------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_requests_are_under_way_at_once_up_to_the_limit(make: Callable[..., LlmOracle], limit: int) -> None:
    everyone = threading.Barrier(limit if limit < 2 * PAIRS else 2 * PAIRS)

    def behave(request: dict[str, Any], _: int) -> Reply:
        everyone.wait(20)  # nobody is answered before so many are under way
        return replace(by_length(request), seconds=0.1)  # time for one too many to arrive

    with served(behave) as server:
        assert make(server, concurrency=limit, timeout=30.0, retries=0).compare(*pairs()) == EXPECTED
    assert server.peak == everyone.parties


# Troubles ------------------------------------------------------------------------------------------------------------

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

    monkeypatch.setattr(endpoint.Asking, "_pause", pause)
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.5)
    with (
        served(lambda *_: Reply(status=500, body="{}")) as server,
        pytest.raises(RunError, match="after 9 tries"),
    ):
        make(server, concurrency=1, retries=8).compare(*pairs(1))
    bounds = [min(0.5 * 2**number, endpoint.LONGEST_WAIT) for number in range(8)]
    assert len(waits) == 8 and len(set(waits)) == 8
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0), ({"retry-after": "7"}, 7), ({"retry-after": "1.5"}, 1.5), ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, 0), ({"retry-after": ""}, 0), ({"retry-after": "nan"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25), ({"retry-after": "inf"}, float("inf")),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)  # fmt: skip
def test_how_long_to_wait_is_a_number(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


def test_how_long_to_wait_is_a_date() -> None:
    assert 3500 < retry_after({"retry-after": formatdate(time.time() + 3600, usegmt=True)}) <= 3600


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


@pytest.mark.parametrize("body", ["{}", "null", "[]", '{"choices": null}', '{"choices": {"0": 1}}', "[" * 100_000])
def test_what_is_no_completion_is_said(body: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        read_answer(body)


@pytest.mark.parametrize("usage", ["null", "{}", '{"prompt_tokens": null, "completion_tokens": -5}'])
def test_an_endpoint_need_not_count_tokens(usage: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": "\\ud83d x"}}}}], "usage": {usage}}}'
    assert read_answer(body) == Answer("? x", 0, 0)


# The cache -----------------------------------------------------------------------------------------------------------


def test_answers_are_found_again_by_what_was_asked_and_nothing_else(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server, served(lambda r, _: by_length(r)) as elsewhere:
        make(server).compare(*pairs())
        for change in ({"concurrency": 1}, {"retries": 0}, {"timeout": 9.0}, {"flip": 0.1}):
            make(server, **change).compare(*pairs())
        assert len(server.requests) == 2 * PAIRS
        other = Template(system="Compare well.", user=TEMPLATE["user"])
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


def test_a_question_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    with cache.claim("ab1") as first, cache.claim("ab2") as another:
        assert first and another
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path; from src.oracles.answers import AnswerCache\n"
             "with AnswerCache(Path(sys.argv[1])).claim('ab1') as mine: sys.exit(mine)", str(tmp_path)],
            cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0
    with cache.claim("ab1") as again:
        assert again
    assert not list(tmp_path.rglob("*.lock"))


SHARING = """
import sys
from pathlib import Path
from src.oracles import endpoint
from src.oracles.answers import Ledger
from src.oracles.llm import LlmOracle, Template
from src.records import Prompt, Row
url, cache = sys.argv[1:]
oracle = LlmOracle(url, "m", "OPENAI_API_KEY", "tldr", {"tldr": Template("", "{prompt}|||{first}|||{second}")},
                   0.0, 64, "max_tokens", 4, 30.0, 0, cache, 0.0)
prompts = [Prompt(i, Row(f"p{i}", "l"), (2,), (3,)) for i in range(20)]
ledger = Ledger()
answers = oracle.ask(prompts, ["long"] * 20, ["s"] * 20, ledger)
totals = ledger.totals()
print(set(answers), totals["calls"], totals["cached"])
"""


@pytest.mark.slow
def test_processes_that_share_a_cache_pay_once(tmp_path: Path) -> None:
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


def test_an_endpoint_that_is_down_for_a_minute_is_outlasted(
    make: Callable[..., LlmOracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the retries of conf/oracle/llm.yaml, on a clock that only the waits between tries move."""
    settings = yaml.safe_load((ROOT / "conf" / "oracle" / "llm.yaml").read_text(encoding="utf-8"))
    now = [0.0]

    async def pause(self: endpoint.Asking, seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(endpoint.Asking, "_pause", pause)
    down = [Reply(status=503), Reply(trouble="close"), Reply(body="<html>bad gateway</html>")]
    with served(lambda request, tries: down[tries % 3] if now[0] < 60 else by_length(request)) as server:
        oracle = make(server, concurrency=1, retries=settings["retries"])
        assert oracle.compare(*pairs(3)) == EXPECTED[:3]
    assert now[0] >= 60


# Costs ---------------------------------------------------------------------------------------------------------------


def test_the_ledger_of_a_run_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "answers" / "judge.jsonl"
    ledger = Ledger(path)
    assert not path.exists() and set(ledger.totals().values()) == {0}
    ledger.paid("a", Answer("one\nü", 10, 2))
    ledger.found("b", Answer("two", 100, 20))
    with path.open("a") as file:
        file.write('{"key": "c", "cach')  # killed while writing
    ledger = Ledger(path)
    ledger.found("a", Answer("one\nü", 10, 2))  # it paid for this one itself
    ledger.found("b", Answer("two", 100, 20))
    ledger.paid("c", Answer("three", 30, 3))
    expected = {"calls": 2, "cached": 1, "tokens": 45, "completion_tokens": 5}
    assert ledger.totals() == Ledger(path).totals() == expected


@pytest.mark.parametrize("spoilt", [b'"prompt_tokens": 11', b'"cached": true', b'"key": "b"'])
def test_a_damaged_line_of_the_ledger_is_named(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "judge.jsonl"
    Ledger(path).paid("a", Answer("one", 10, 2))
    Ledger(path).paid("c", Answer("two", 10, 2))
    written = {b"prompt": b'"prompt_tokens": 10', b"cached": b'"cached": false', b"key": b'"key": "c"'}
    first, second = path.read_bytes().splitlines(keepends=True)
    old = written[spoilt[1:].split(b'"')[0].split(b"_")[0]]
    path.write_bytes(first + second.replace(old, spoilt))
    with pytest.raises(RunError, match="judge.jsonl, line 2: not what the run wrote"):
        Ledger(path)


def test_a_damaged_answer_is_not_taken_and_one_of_an_earlier_version_is(tmp_path: Path) -> None:
    cache, answer = AnswerCache(tmp_path), Answer("Verdict: A", 10, 2)
    for key in ("aa", "ab"):
        cache.keep(key, {"model": "m"}, answer)
    files = {key: tmp_path / key / f"{key}.json" for key in ("aa", "ab")}
    assert cache.find("aa") == answer
    whole = files["aa"].read_text()
    files["aa"].write_text(whole.replace("Verdict: A", "Verdict: B"))
    assert cache.find("aa") is None
    files["aa"].write_text(files["ab"].read_text())  # another question's
    assert cache.find("aa") is None
    row = json.loads(whole)
    del row["sha256"]
    files["aa"].write_text(json.dumps(row))
    assert cache.find("aa") == answer


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


def test_oracle_and_judge_count_apart(make: Callable[..., LlmOracle]) -> None:
    with served(lambda request, _: by_length(request)) as server:
        oracle, judge = Comparer(make(server), None), Comparer(make(server), None)
        oracle.verdicts(*pairs())
        judge.verdicts(*pairs(3))
    assert oracle.spent("oracle")["oracle_calls"] == 12 and oracle.spent("oracle")["oracle_cached"] == 0
    assert judge.spent("judge") == {
        "judge_calls": 0, "judge_cached": 6, "judge_tokens": 0, "judge_completion_tokens": 0
    }  # fmt: skip


# Settings ------------------------------------------------------------------------------------------------------------


def test_the_name_has_what_changes_verdicts(make: Callable[..., LlmOracle]) -> None:
    plain, other = make(), Template(system="Compare well.", user=TEMPLATE["user"])
    assert plain.name.startswith("llm:m,prompt=")
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
