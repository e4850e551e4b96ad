from pathlib import Path

import pytest

from benchmarks.flops import Shape, shape_of
from benchmarks.planning.architecture import KNOWN, architecture_of
from benchmarks.planning.command import read_plan
from tests.benchmarks.planning.example import JOB
from tests.tiny import tiny_model


@pytest.mark.parametrize(
    ("name", "billions"), [("smollm2_135m", 0.1345), ("qwen3_0_6b", 0.596), ("gemma_2b", 2.506), ("llama3_8b", 8.03)]
)
def test_known_models_have_the_weights_that_their_cards_say(name: str, billions: float):
    assert KNOWN[name].parameters / 1e9 == pytest.approx(billions, rel=2e-3)


def test_the_papers_adapters_have_as_many_weights_as_were_counted():
    assert JOB.shape.adapters == pytest.approx(313.8e6, rel=1e-3)


def test_a_shape_is_that_of_the_model_in_the_folder(tmp_path: Path):
    model = tiny_model()
    model.config.save_pretrained(tmp_path)
    config = read_plan([]).plans["", ""].config
    found = architecture_of(config.model, str(tmp_path))
    assert found.shape(4) == shape_of(model, 4)
    assert isinstance(found.shape(None), Shape) and found.shape(None).adapters == 0
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not the config.json of a decoder"):
        architecture_of(config.model, str(tmp_path))
