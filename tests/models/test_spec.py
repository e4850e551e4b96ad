import pytest

from src.cli.compose import problems_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["model.dtype=bfloat16"], "model.dtype=bfloat16: without adapters (lora=null) all weights are trained"),
        (["model=smollm2_135m", "model.lora=null", "model.dtype=bfloat16"], "model.dtype=bfloat16: without adapters"),
        (["model=smollm2_135m", "model.dtype=float16"], "model.dtype=float16: expected float32 or bfloat16"),
        (["model=smollm2_135m", "model.template=alpaca"], "model.template=alpaca: expected plain or chat"),
    ],
)
def test_what_a_model_cannot_be(arguments: list[str], named: str) -> None:
    (problem,) = problems_of(arguments)
    assert problem.startswith(named)


@pytest.mark.parametrize("model", ["tiny_lora", "smollm2_135m", "qwen3_0_6b", "gemma_2b"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapters_go_on_either_type(model: str, dtype: str) -> None:
    assert problems_of([f"model={model}", f"model.dtype={dtype}"]) == []
