"""The device of a test: the processor, and CUDA where a GPU is asked for (`-m gpu`)."""

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.fail("marked gpu: torch sees no CUDA device here")
    return torch.device(request.param)
