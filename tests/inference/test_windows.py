"""The longest row in which a token attends to all before it."""

import pytest

from src.inference.shared_attention import install
from src.inference.windows import shortest_window
from tests.shrunk import WINDOW, tiny
from tests.tiny import tiny_gpt2, tiny_model


@pytest.mark.parametrize(
    "name", ["mistral", "gemma3", "gemma3n_text", "gemma4_text", "llama4", "cohere2", "modernbert-decoder"]
)
def test_windows_and_chunks_of_all_configurations_are_found(name: str) -> None:
    model = tiny(name)
    assert install(model)
    assert shortest_window(model) == WINDOW


def test_a_window_is_found_under_any_name() -> None:
    """The model is asked, not its configuration."""
    model = tiny("mistral")
    assert install(model)
    window, model.config.sliding_window = model.config.sliding_window, None

    class Renamed(type(model.config)):
        @property
        def sliding_window(self) -> int:
            return window

    del model.config.__dict__["sliding_window"]
    model.config.__class__ = Renamed
    assert shortest_window(model) == WINDOW


def test_models_without_windows_have_none() -> None:
    for model in (tiny_model(), tiny_gpt2()):
        assert install(model)
        assert shortest_window(model) is None


def test_a_model_that_computes_nothing_is_left_to_the_self_check() -> None:
    model = tiny_model()

    def fails(*_: object, **__: object) -> None:
        raise ValueError("no language is set")

    model.forward = fails
    assert shortest_window(model) is None
