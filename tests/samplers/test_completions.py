"""Answers of vLLM servers."""

import json
import re
from typing import Any

import pytest

from src.oracles.failures import Trouble
from src.samplers.completions import SamplingRequest, model_problems, read_completion, version_problems


def completion(*choices: dict[str, Any]) -> str:
    whole = [
        {"index": place, "token_ids": [3, 1], "logprobs": {"token_logprobs": [-1.0, -2.0]}} | choice
        for place, choice in enumerate(choices)
    ]
    return json.dumps({"choices": whole})


def test_what_a_response_has_to_be() -> None:
    two = SamplingRequest((2, 3), 2, 0)
    cut = {"token_ids": [5, 4, 4], "logprobs": {"token_logprobs": [0, -1, -1]}}
    assert read_completion(completion({}, cut), two, {1}, 3) == [((3, 1), -3.0), ((5, 4, 4), -2.0)]
    for body, text in (
        ("<html>", "Expecting value"),
        ("[]", "it begins with"),
        (completion({}), "1 responses, and 2"),
        (completion({}, {"token_ids": None}), "vLLM 0.10.2"),
        (completion({}, {"logprobs": None}), "vLLM 0.10.2"),
        (completion({}, {"prompt_token_ids": [2]}), "another prompt"),
        (completion({}, {"token_ids": [1, 3]}), "passed its end"),
        (completion({}, {"token_ids": [1, 1]}), "passed its end"),
        (completion({}, {"token_ids": [], "logprobs": {"token_logprobs": []}}), "0 tokens"),
        (completion({}, {"token_ids": [3, 4]}), "stops before its end"),
        (completion({}, {"token_ids": [3]}), "1 tokens with 2 log-probs"),
        (completion({}, {"token_ids": ["3", 1]}), "2 tokens with 2"),
        (completion({}, {"logprobs": {"token_logprobs": [-1.0, float("nan")]}}), "log-probability of nan"),
        (completion({}, {"logprobs": {"token_logprobs": [None, -1.0]}}), "it begins with"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            read_completion(body, two, {1}, 3)
    with pytest.raises(ValueError, match="limit of 2"):
        read_completion(
            completion({"token_ids": [3, 3, 1], "logprobs": {"token_logprobs": [0, 0, 0]}}),
            SamplingRequest((2,), 1, 0),
            {1},
            2,
        )


@pytest.mark.parametrize("body", ["", "[]", '{"data": [1]}', '{"data": [{}]}', "null"])
def test_models_that_are_none(body: str) -> None:
    with pytest.raises(Trouble, match="expected a vLLM server"):
        model_problems(body, "base", 1)


def test_all_that_a_server_lacks_is_said_at_once() -> None:
    body = json.dumps({"data": [{"id": "other", "root": "/other", "max_model_len": 31}]})
    wrong, short = model_problems(body, "base", 32)
    assert "serves other, and the policy's base is base" in wrong and "reads at most 31 tokens" in short
    assert model_problems(body, "/other", 31) == []


@pytest.mark.parametrize(
    ("said", "problems"),
    [("0.10.1", 1), ("0.10.1.1", 1), ("0.10.2", 0), ("0.32.0+cpu", 0), ("1.0.0rc1", 0), ("0.9.0.dev3+gabc", 0)],
)
def test_versions(said: str, problems: int) -> None:
    assert len(version_problems(json.dumps({"version": said}))) == problems


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": "main"}', '{"version": null}'])
def test_no_version_is_no_problem(body: str) -> None:
    assert version_problems(body) == []
