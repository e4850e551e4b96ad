"""What an attempt at a run was started with, and on what."""

import shlex
from pathlib import Path

import pytest
import torch

from src.run_folder.attempts import FILE, hardware, note_attempt
from src.storage.rows import read_rows

CPU = torch.device("cpu")


def test_every_attempt_adds_a_row(tmp_path: Path) -> None:
    for words in (["F=2"], ["F=2", "data.path=a b", "loss.beta='x'"]):
        note_attempt(tmp_path, words, CPU)
    first, second = read_rows(tmp_path / FILE)
    assert first["command"] == "python -m src.train F=2" and first["gpu"] is None and first["cores"] >= 1
    assert shlex.split(second["command"])[3:] == ["F=2", "data.path=a b", "loss.beta='x'"]
    assert second["torch"] == torch.__version__ and second["processor"] and second["memory_gib"] > 0
    assert not {"host", "hostname", "user", "node"} & set(second)


@pytest.mark.parametrize("content", [b"{torn", b"\xff\xfe"])
def test_a_damaged_file_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    note_attempt(tmp_path, [], CPU)
    assert len(read_rows(tmp_path / FILE)) == 1


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    gpu = SimpleNamespace(name="a GPU", total_memory=3 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    found = hardware(torch.device("cuda"))
    assert (found["gpu"], found["gpu_memory_gib"]) == ("a GPU", 3.0)
