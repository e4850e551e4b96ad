import doctest

import pytest

from src.oracles import prompt_template
from src.oracles.prompt_template import PromptTemplate
from tests.oracles.endpoint_server import TEMPLATE


def test_texts_go_in_as_they_are() -> None:
    template = PromptTemplate(system='{"as": "{json}"} \\1', user="P {prompt} A {first} B {second} {} {0} {unknown}")
    texts = ["{first} {second} \\g<0> {", "{prompt} %s {0}", "}} {first}\n| ü \u2028 {"]
    system, user = template.messages(*texts)
    assert system == {"role": "system", "content": '{"as": "{json}"} \\1'}
    assert user == {"role": "user", "content": f"P {texts[0]} A {texts[1]} B {texts[2]} {{}} {{0}} {{unknown}}"}


def test_half_surrogates_can_be_sent() -> None:
    content = PromptTemplate(**TEMPLATE).messages("\ud83d", "a", "b")[1]["content"]
    assert content.encode() and content.endswith("|||a|||b")


def test_a_template_without_its_texts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"user: the template lacks \{prompt\}, \{second\}"):
        PromptTemplate(system="Compare {first}", user="{Prompt} { second }")


def test_the_example_in_the_docstring() -> None:
    failed, attempted = doctest.testmod(prompt_template)
    assert attempted and not failed
