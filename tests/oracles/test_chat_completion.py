import pytest

from src.oracles.answers import Answer
from src.oracles.chat_completion import read_answer


@pytest.mark.parametrize("body", ["{}", "null", "[]", '{"choices": null}', '{"choices": {"0": 1}}', "[" * 100_000])
def test_what_is_no_completion_is_said(body: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        read_answer(body)


@pytest.mark.parametrize("usage", ["null", "{}", '{"prompt_tokens": null, "completion_tokens": -5}'])
def test_an_endpoint_need_not_count_tokens(usage: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": "\\ud83d x"}}}}], "usage": {usage}}}'
    assert read_answer(body) == Answer("? x", 0, 0)
