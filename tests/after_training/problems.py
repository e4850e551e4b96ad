"""What a refused command is told, a line each."""

import pytest

from src.after_training.evaluate_request import read_evaluate_request
from src.after_training.sample_request import read_sample_request
from src.runtime.errors import ConfigError


def evaluate_problems(*arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_evaluate_request(arguments)
    return error.value.problems


def sample_problems(*arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_sample_request(arguments)
    return error.value.problems
