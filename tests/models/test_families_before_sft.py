"""What cannot be exact is refused before SFT is paid for; what has no limit on positions is trained."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from src.build import build_sft_cache
from src.models.policy import Policy
from src.runtime.errors import RunError
from src.runtime.report import Report
from tests.experiments import configured
from tests.families import make_tokenizer
from tests.shrunk import tiny

pytestmark = pytest.mark.slow

SMALL = (
    "T=2", "data.train=8", "data.validation=2", "data.test=2", "model.sft.batch_size=2", "model.sft.steps=1",
    "task.max_prompt_tokens=400", "task.max_new_tokens=100",
)  # fmt: skip


def policy_of(folder: Path, name: str, members: int = 1, **changes: Any) -> Policy:
    tiny(name, **changes).save_pretrained(folder / "model")
    make_tokenizer().save_pretrained(folder / "model")
    config, _, _ = configured(folder, "model=smollm2_135m", f"model.path={folder / 'model'}", smoke=SMALL)
    return build_sft_cache(config, config.data.load(config.task.name), Report()).policy(members)


def refused(folder: Path, name: str, members: int = 1, **changes: Any) -> str:
    with pytest.raises(RunError) as caught:
        policy_of(folder, name, members, **changes)
    assert not list(folder.rglob("made.json")) and "\n" not in str(caught.value)
    return str(caught.value)


def test_an_encoder(tmp_path: Path) -> None:
    assert "no causal language model" in refused(tmp_path, "bert", is_decoder=False)


def test_a_task_longer_than_the_switch_of_rotary_embeddings(tmp_path: Path) -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4, "original_max_position_embeddings": 256}
    said = refused(tmp_path, "llama", rope_parameters=rope)
    assert "make 500 tokens" in said and "takes at most 256" in said


def test_positions_that_begin_behind_the_padding_token(tmp_path: Path) -> None:
    assert "reads at most 494; lower them" in refused(tmp_path, "roberta", max_position_embeddings=496, pad_token_id=1)


def test_an_ensemble_whose_members_cannot_learn_together(tmp_path: Path) -> None:
    assert "ensemble=2: the layer" in refused(tmp_path, "mamba", members=2)


def test_words_beyond_the_embeddings(tmp_path: Path) -> None:
    assert "beyond the 280 embeddings" in refused(tmp_path, "llama", vocab_size=280)


@pytest.mark.parametrize("name", ["bloom", "mamba"])
def test_a_model_without_a_limit_of_positions_is_trained(tmp_path: Path, name: str) -> None:
    policy = policy_of(tmp_path, name)
    assert len(list(tmp_path.rglob("made.json"))) == 1
    assert any(parameter.abs().max() > 0 for key, parameter in policy.trainable().items() if key.endswith(".B"))
    assert AutoTokenizer.from_pretrained(policy.base).eos_token == "</s>"
