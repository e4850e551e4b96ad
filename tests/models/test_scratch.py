from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from src.models.scratch import make_base, train_tokenizer
from src.models.spec import ScratchSpec
from src.records import Row

ROWS = [Row(f"a prompt of number {n}", f"the label {n}") for n in range(20)]
SPEC = ScratchSpec(
    vocab_size=270, layers=1, hidden=16, heads=2, intermediate=16, positions=64, initializer_range=0.1, seed=3
)


def test_any_text_survives_a_round_trip() -> None:
    tokenizer = train_tokenizer(ROWS, 270)
    assert len(tokenizer) <= 270 and (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "<eos>")
    for text in ("a prompt", "Ünïcödé 漢字 🎉\n\t", "", "  two  spaces "):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_seed_makes_the_weights_and_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    for name, spec in (("a", SPEC), ("b", SPEC), ("c", replace(SPEC, seed=4))):
        make_base(tmp_path / name, ROWS, spec)
    assert torch.equal(torch.get_rng_state(), state)
    a, b, c = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["model.embed_tokens.weight"], c["model.embed_tokens.weight"])
    assert AutoTokenizer.from_pretrained(tmp_path / "a").eos_token_id == 1
