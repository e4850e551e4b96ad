"""A name on the hub is that of a branch: what was loaded is told by its commit."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from src.models.fingerprint import model_fingerprint
from src.models.hub_commit import hub_commit, pinned
from src.models.pretrained import load_model, load_tokenizer
from src.runtime.errors import RunError

NAME = "owner/name"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    hub_commit.cache_clear()
    yield
    hub_commit.cache_clear()


def on_the_hub(monkeypatch: pytest.MonkeyPatch, commit: str | None) -> None:
    def model_info(self: object, name: str, timeout: float) -> SimpleNamespace:
        if commit is None:
            raise OSError("no network")
        return SimpleNamespace(sha=commit)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)


def in_the_cache(monkeypatch: pytest.MonkeyPatch, commit: str, cache: Path) -> None:
    snapshot = cache / "models--owner--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = cache / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)


def test_a_branch_that_has_moved_is_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_hub(monkeypatch, "a1")
    first = model_fingerprint(NAME)
    assert first == "owner/name@a1" and model_fingerprint(NAME) == first
    on_the_hub(monkeypatch, "b2")
    assert model_fingerprint(NAME) == first, "one process means one commit"
    hub_commit.cache_clear()
    assert model_fingerprint(NAME) == "owner/name@b2"


def test_without_a_network_the_copy_in_the_cache_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_the_hub(monkeypatch, None)
    in_the_cache(monkeypatch, "c3", tmp_path)
    assert hub_commit(NAME) == "c3"


def test_offline_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_the_hub(monkeypatch, "a1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    in_the_cache(monkeypatch, "c3", tmp_path)
    assert hub_commit(NAME) == "c3" and hub_commit("owner/other") is None
    assert model_fingerprint("owner/other") == "owner/other"


def test_a_folder_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_hub(monkeypatch, "a1")
    assert hub_commit(str(tmp_path)) is None and pinned(str(tmp_path)) == {}
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub_commit(NAME) is None


@pytest.mark.parametrize("load", [load_tokenizer, lambda name: load_model(name, None)])
def test_what_is_loaded_is_that_commit(load, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_hub(monkeypatch, "a1")
    asked = []

    def from_pretrained(name: str, **arguments: object) -> None:
        asked.append((name, arguments["revision"]))
        raise OSError("enough")

    for auto in ("AutoTokenizer", "AutoModelForCausalLM"):
        monkeypatch.setattr(f"src.models.pretrained.{auto}.from_pretrained", from_pretrained)
    with pytest.raises(RunError, match="enough"):
        load(NAME)
    assert asked == [(NAME, "a1")]
