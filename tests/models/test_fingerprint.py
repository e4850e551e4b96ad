"""Two models have one fingerprint only if they have the same files, to the last byte."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from src.models.fingerprint import model_fingerprint
from src.storage.files import write_text
from src.storage.rows import dump_row
from src.storage.signed import signed

LARGE = bytes(3 * 2**20)  # a header and embeddings that merging an adapter leaves as they are


def fingerprint(folder: Path) -> str:
    return model_fingerprint(str(folder))


def model(folder: Path, end: bytes = b"A") -> Path:
    """A folder with files like a model's, whose weights differ in their last byte."""
    folder.mkdir(parents=True)
    write_text(folder / "config.json", "{}")
    (folder / "model.safetensors").write_bytes(LARGE + end)
    return folder


def overwrite_end(file: Path) -> None:
    """Changes the last byte in place; size, inode and time stamp stay."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"B")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_hub_name_without_a_commit_is_its_own_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.models.fingerprint.hub_commit", lambda name: None)
    assert model_fingerprint("owner/name") == "owner/name"


def test_names_sizes_and_content_of_model_files_count(tmp_path: Path) -> None:
    write_text(tmp_path / "config.json", "{}")
    prints = [fingerprint(tmp_path)]
    for name, text in (("config.json", "[]"), ("config.json", "[ ]"), ("tokenizer.json", "{}"), ("a.tiktoken", "a")):
        write_text(tmp_path / name, text)
        prints.append(fingerprint(tmp_path))
    assert len(set(prints)) == 5 and {len(digest) for digest in prints} == {16}
    for name in ("notes.md", ".cache/huggingface/x.json", "checkpoint-10/config.json"):
        write_text(tmp_path / name, "not of the model")
    assert fingerprint(tmp_path) == prints[-1]


def test_the_last_byte_of_the_weights_counts(tmp_path: Path) -> None:
    assert fingerprint(model(tmp_path / "a")) == fingerprint(model(tmp_path / "copy"))
    assert fingerprint(tmp_path / "a") != fingerprint(model(tmp_path / "b", b"B"))


def test_weights_overwritten_in_place_are_another_model(tmp_path: Path) -> None:
    before = fingerprint(model(tmp_path / "a"))
    overwrite_end(tmp_path / "a" / "model.safetensors")
    assert fingerprint(tmp_path / "a") != before


def shards(folder: Path) -> Path:
    """Weights in two files, one of them in a subfolder, both named by an index."""
    file = folder / "more" / "model-00002-of-00002.safetensors"
    file.parent.mkdir()
    file.write_bytes(LARGE + b"A")
    names = {"a.weight": "model.safetensors", "b.weight": "more/model-00002-of-00002.safetensors"}
    write_text(folder / "model.safetensors.index.json", json.dumps({"weight_map": names}))
    return file


def module_of_encoder(folder: Path) -> Path:
    write_text(folder / "modules.json", json.dumps([{"type": "x", "path": "0_Transformer"}]))
    file = folder / "0_Transformer" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(LARGE + b"A")
    return file


def linked_module(folder: Path) -> Path:
    """A module in a folder that is a link."""
    file = module_of_encoder(folder)
    (folder / "0_Transformer").rename(folder.parent / "elsewhere")
    (folder / "0_Transformer").symlink_to(folder.parent / "elsewhere")
    (folder.parent / "elsewhere" / "back").symlink_to(folder)
    return file


def chat_template(folder: Path) -> Path:
    file = folder / "additional_chat_templates" / "tools.jinja"
    write_text(file, "A")
    return file


def linked_weights(folder: Path) -> Path:
    """As in the cache of the hub: the folder has links to files with other names."""
    blob = folder.parent / "blob"
    (folder / "model.safetensors").rename(blob)
    (folder / "model.safetensors").symlink_to(blob)
    return blob


@pytest.mark.parametrize("part", [shards, module_of_encoder, linked_module, chat_template, linked_weights])
def test_every_file_that_a_library_loads_counts(tmp_path: Path, part: Callable[[Path], Path]) -> None:
    file = part(model(tmp_path / "a"))
    before = fingerprint(tmp_path / "a")
    overwrite_end(file)
    assert fingerprint(tmp_path / "a") != before


def test_a_link_to_a_folder_is_the_folder(tmp_path: Path) -> None:
    model(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert fingerprint(tmp_path / "link") == fingerprint(tmp_path / "a")


@pytest.mark.parametrize("name", ["a[12]", "a*", "a?", "{a,b}", "a::b", "ü ~#%", "two\nlines"])
def test_a_folder_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    assert fingerprint(model(tmp_path / name)) == fingerprint(model(tmp_path / "plain" / "x"))


def test_an_index_that_cannot_be_read_is_a_file_like_others(tmp_path: Path) -> None:
    write_text(model(tmp_path / "a") / "model.safetensors.index.json", "{")
    assert len(fingerprint(tmp_path / "a")) == 16


def test_files_beside_a_policy_made_here_do_not_count(tmp_path: Path) -> None:
    write_text(tmp_path / "config.json", "{}")
    write_text(tmp_path / "made.json", dump_row(signed({"files": ["config.json"]})))
    before = fingerprint(tmp_path)
    write_text(tmp_path / "reward.json", "{}")
    assert fingerprint(tmp_path) == before
    write_text(tmp_path / "config.json", "[]")
    assert fingerprint(tmp_path) != before
