import pytest

from src.data.end_names import without_end_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is blue.<|endoftext|>", "It is blue."),
        ("It is blue. <|endoftext|>\n", "It is blue."),
        ("It is blue.<|endoftext|><|endoftext|>", "It is blue.<|endoftext|>"),
        ("It is <|endoftext|> blue. ", "It is <|endoftext|> blue. "),
        ("<|endoftext|>", ""),
        ("", ""),
    ],
)
def test_one_end_is_taken_off(text: str, expected: str) -> None:
    assert without_end_name(text) == expected


def test_the_longest_of_several_names() -> None:
    assert without_end_name("a</s></s>", ("</s>", "s>", "</s></s>")) == "a"
