import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from benchmarks.planning.architecture import architecture_of
from benchmarks.random_base import LABELS, PROMPTS, SHAPES, TYPES, _config, write_base
from src.models.pretrained import load_model, load_tokenizer
from tests.tiny import tiny_tokenizer


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_is_the_published_one(name: str, tmp_path: Path) -> None:
    _config(name, tiny_tokenizer()).save_pretrained(tmp_path)
    spec = type("Spec", (), {"scratch": None, "name": "other", "path": str(tmp_path)})()
    assert architecture_of(spec, None) == SHAPES[name]
    assert AutoConfig.from_pretrained(tmp_path).model_type == TYPES[name]


def test_a_base_is_loaded_like_any_model_and_its_rows_are_as_long_as_asked(tmp_path: Path) -> None:
    base = tmp_path / "toy"
    write_base(base, "toy", torch.device("cpu"), rows=200)
    model, tokenizer = load_model(str(base), torch.bfloat16), load_tokenizer(str(base))
    assert model.get_input_embeddings().weight.shape == (512, 64)
    assert model.dtype == torch.bfloat16
    rows = [json.loads(line) for line in (base / "rows.jsonl").read_text().splitlines()]
    assert len({row["prompt"] for row in rows}) == len(rows) == 200
    for key, (median, _) in (("prompt", PROMPTS), ("label", LABELS)):
        lengths = sorted(len(tokenizer(row[key], add_special_tokens=False).input_ids) for row in rows)
        assert lengths[100] == pytest.approx(median, rel=0.15)
        assert lengths[-1] > 1.5 * lengths[100]


def test_lengths_are_scaled(tmp_path: Path) -> None:
    write_base(tmp_path / "toy", "toy", torch.device("cpu"), rows=50, scale=0.1)
    rows = [json.loads(line) for line in (tmp_path / "toy" / "rows.jsonl").read_text().splitlines()]
    words = sorted(len(row["prompt"].split()) for row in rows)
    assert 5 < words[25] < 60 and all(row["label"] for row in rows)
