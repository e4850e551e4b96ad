from pathlib import Path

from src.models.fingerprint import model_fingerprint
from src.storage.files import write_text
from src.storage.rows import dump_row
from src.storage.signed import signed


def test_a_hub_name_is_its_own_fingerprint(tmp_path: Path) -> None:
    assert model_fingerprint("owner/name") == "owner/name"


def test_names_sizes_and_content_of_model_files_count(tmp_path: Path) -> None:
    write_text(tmp_path / "config.json", "{}")
    prints = [model_fingerprint(str(tmp_path))]
    for name, text in (("config.json", "[]"), ("config.json", "[ ]"), ("tokenizer.json", "{}")):
        write_text(tmp_path / name, text)
        prints.append(model_fingerprint(str(tmp_path)))
    assert len(set(prints)) == 4 and {len(digest) for digest in prints} == {16}
    write_text(tmp_path / "notes.md", "not of the model")
    assert model_fingerprint(str(tmp_path)) == prints[-1]


def test_files_beside_a_policy_made_here_do_not_count(tmp_path: Path) -> None:
    write_text(tmp_path / "config.json", "{}")
    write_text(tmp_path / "made.json", dump_row(signed({"files": ["config.json"]})))
    before = model_fingerprint(str(tmp_path))
    write_text(tmp_path / "reward.json", "{}")
    assert model_fingerprint(str(tmp_path)) == before
    write_text(tmp_path / "config.json", "[]")
    assert model_fingerprint(str(tmp_path)) != before
