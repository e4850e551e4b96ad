import textwrap
from typing import Any

import numpy as np

from src.oracles import base
from src.oracles.base import FIRST, INVALID, SECOND, TIE, Verdicts
from src.oracles.comparer import Comparer
from tests.tiny import numbered_prompts


def test_outcomes_are_those_of_the_first():
    said = Verdicts(np.array([FIRST, SECOND, TIE, INVALID]), None)
    assert said.outcomes().tolist()[:3] == [1.0, 0.0, 0.5] and np.isnan(said.outcomes()[3])


def test_the_example_of_an_oracle_works() -> None:
    assert base.__doc__ is not None
    example = textwrap.dedent("    @dataclass" + base.__doc__.partition("    @dataclass")[2])
    imports = "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom src.oracles.base import *\n"
    names: dict[str, Any] = {"quality": lambda prompt, response: len(response)}
    exec(imports + example, names)
    oracle = names["QualityOracle"](temperature=0.0, flip=0.0)
    said = Comparer(oracle, None).verdicts(numbered_prompts(3), ["long", "x", "one"], ["s", "y", "three"])
    assert said.preferred.tolist() == [FIRST, TIE, SECOND]
