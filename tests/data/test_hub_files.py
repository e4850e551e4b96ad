"""The files of a data set on the hub or in a folder, and no access to them."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.runtime.errors import ConfigError
from tests.data import hub_sets
from tests.data.hub_data import configured, make, plain
from tests.data.hub_sets import write


def test_shards_are_one_split(tmp_path: Path) -> None:
    for shard in range(3):
        write(
            tmp_path / f"data/train-0000{shard}-of-00003-ab.parquet", hub_sets.tldr(range(10 * shard, 10 * shard + 10))
        )
    splits = plain(tmp_path).load("any")
    assert {row.label for rows in splits.named().values() for row in rows} == {f"summary {n}" for n in range(30)}


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    data = make(tmp_path, "paper_tldr", "parquet")
    with pytest.raises(ConfigError, match="data.validation_split=validation: .* only test, train, valid"):
        replace(data, validation_split="validation").load("any")


def test_no_access_is_one_message_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        configured("hub_tldr", "nobody/nothing").load("any")
    (problem,) = caught.value.problems
    assert problem.startswith("nobody/nothing (revision 21233da376667088e6eb1ce4ce19ed832c2935d3) cannot be had here")
    assert "\n" not in problem
    assert all(way in problem for way in ("HF_HUB_OFFLINE=1", "data=files", "data.path=DIR", "cache", "data=embedded"))


def test_an_error_of_the_network_is_no_access_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses, a line that breaks: the libraries below have errors of their own for each."""

    class ProxyError(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise ProxyError("403 Forbidden")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"nobody/nothing .* cannot be had here: 403 Forbidden\. Any of these helps"):
        configured("hub_tldr", "nobody/nothing").load("any")


def test_what_the_cache_of_the_hub_has_is_read_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    data = configured("hub_helpfulness", "nobody/nothing", train=None)
    cached = tmp_path / "datasets--nobody--nothing" / "snapshots" / str(data.revision)
    make(cached, "hub_helpfulness", "jsonl.gz", 9)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    # The default is bound when the function is made.
    monkeypatch.setitem(huggingface_hub.snapshot_download.__kwdefaults__ or {}, "cache_dir", None)
    assert data.load("any") == replace(data, path=str(cached)).load("any")
    with pytest.raises(ConfigError, match="another"):
        replace(data, revision="another").load("any")
