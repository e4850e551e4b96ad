"""Training on pairs that came with the data; and a sampled run on a local copy of a hub set."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src.cli.compose import problems_of
from src.collection.dataset_pairs import DatasetCollector, given
from src.loop import Experiment
from src.oracles.embedding import EmbeddingOracle
from src.records import Prompt, Row, Tally
from src.runtime.errors import RunError
from src.storage.rows import read_rows
from src.train import run as run_job
from tests.data.hub_sets import hh, write
from tests.experiments import built, configured, left_behind

Build = Callable[..., Experiment]


def prompt(number: int, chosen: str | None, rejected: str | None) -> Prompt:
    ids = None if chosen is None or rejected is None else (tuple(map(ord, chosen)), tuple(map(ord, rejected)))
    return Prompt(number, Row(f"prompt {number}", "label", None, chosen, rejected), (2,), (3, 1), ids)


def collect(prompts: Sequence[Prompt], tally: Tally, longest: int = 10) -> list:
    ticked: list[int] = []
    collector = DatasetCollector(longest)
    found = collector.collect(None, prompts, torch.Generator(), tally, ticked.append)  # type: ignore[arg-type]
    assert sum(ticked) == len(prompts)
    return found


def test_a_candidate_is_the_rows_own_pair_and_its_preference() -> None:
    tally = Tally()
    prompts = [prompt(0, "good", "bad"), prompt(1, "b", "a")]
    candidates = collect(prompts, tally)
    assert [one.prompt for one in candidates] == prompts
    assert [[response.text for response in one.responses] for one in candidates] == [["good", "bad"], ["b", "a"]]
    assert [[response.ids for response in one.responses] for one in candidates] == [list(p.pair_ids) for p in prompts]
    assert vars(tally) == vars(Tally())
    comparisons = given(candidates, tally)
    assert [(one.chosen, one.scores) for one in comparisons] == [(0, None)] * 2
    assert vars(tally) == vars(Tally(annotated_pairs=2))


def test_identical_missing_and_too_long_pairs_are_passed_over_and_counted() -> None:
    tally = Tally()
    prompts = [
        prompt(0, "same", "same"), prompt(1, None, None), prompt(2, "abcd", "abcde"), prompt(3, "abcde", "abcd"),
        prompt(4, "abcd", "dcba"),
    ]  # fmt: skip
    assert [one and one.prompt.id for one in collect(prompts, tally, 4)] == [None, None, None, None, 4]
    assert vars(tally) == vars(Tally(passed_over=4))


def test_texts_that_the_tokenizer_does_not_tell_apart_are_no_pair() -> None:
    tally = Tally()
    alike = replace(prompt(0, "Blue", "blue"), pair_ids=((5, 1), (5, 1)))
    assert collect([alike], tally) == [None] and tally.passed_over == 1


def test_a_pair_used_twice_was_annotated_once() -> None:
    tally = Tally()
    prompts = [prompt(0, "good", "bad"), prompt(1, "b", "a")]
    assert len(given(collect([*prompts, *prompts, prompts[0]], tally), tally)) == 5
    assert tally.annotated_pairs == 2


def word_overlap(self: EmbeddingOracle, world: object, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    """Stands in for a model of sentence embeddings."""
    pairs = zip(prompts, texts, strict=True)
    return [len(set(one.row.prompt.split()) & set(text.split())) - len(text) / 1000 for one, text in pairs]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A local copy of helpful-base, a third of its pairs identical, and the overrides of a small run on it."""
    folder = tmp_path / "hh" / "helpful-base"
    rows = [row if n % 3 else row | {"rejected": row["chosen"]} for n, row in enumerate(hh(range(40)))]
    write(folder / "train.jsonl", rows)
    write(folder / "test.jsonl", hh(range(200, 206)))
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "score", word_overlap)
    monkeypatch.setattr(EmbeddingOracle, "problems", lambda self: [])
    return ("data=hub", "task=helpfulness", f"data.path={tmp_path / 'hh'}", "data.validation=5", "F=1",
            "task.max_prompt_tokens=200")  # fmt: skip


def test_a_run_on_the_datas_own_pairs(
    experiment: Build, copy: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = experiment(*copy, "collect=dataset")

    def asked(*_: object) -> None:
        raise AssertionError("no oracle is asked about pairs that have a preference")

    monkeypatch.setattr("src.collection.annotate.annotate", asked)
    run.run()
    row = read_rows(run.folder.path / "results.jsonl")[-1]
    pairs = [one for file in sorted(run.folder.pairs.glob("round_*.jsonl")) for one in read_rows(file)]
    assert len(pairs) == 16
    for pair in pairs:
        number = int(pair["prompt"].split("this, ")[1].split("\n")[0])
        assert number % 3 and pair["prompt"].endswith("Assistant:")
        assert [response["text"] for response in pair["responses"]] == [f" good {number}", f" bad {number}"]
        assert all(response["exact"] for response in pair["responses"])
        assert pair["chosen"] == 0 and [response["score"] for response in pair["responses"]] == [None, None]
        for response in pair["responses"]:
            assert run.policy.tokenizer.decode(response["ids"][:-1]) == response["text"]
            assert response["ids"][-1] == run.policy.tokenizer.eos_token_id
            # At F=1 the three are one policy.
            assert response["logps"]["reference"] == response["logps"]["sft"] == response["logps"]["behavior"] < 0
    assert (row["annotated_pairs"], row["generated_responses"], row["resampled"], row["oracle_ties"]) == (16, 0, 0, 0)
    assert row["passed_over"] > 0
    assert (row["oracle"], row["judge_is_oracle"], row["split"], row["n_prompts"]) == ("dataset", False, "test", 6)
    assert run.policy.mean() is not run.sft


@pytest.mark.slow
def test_both_references_are_the_sft_policy(experiment: Build, copy: tuple[str, ...]) -> None:
    runs = [experiment(*copy, "collect=dataset", f"reference={name}") for name in ("sft", "behavior")]
    for run in runs:
        run.run()
    one, other = (left_behind(run.folder.path) for run in runs)
    assert one["pairs"] == other["pairs"] and one["policy"] == other["policy"]


def test_more_steps_than_pairs_use_them_again_and_count_them_once(experiment: Build, copy: tuple[str, ...]) -> None:
    run = experiment(*copy, "collect=dataset", "T=12", "evaluate.every=0", "data.train=9")
    run.run()
    row = read_rows(run.folder.path / "results.jsonl")[-1]
    with_a_pair = sum(one.row.chosen != one.row.rejected for one in run.collection.prompts)
    assert 0 < with_a_pair < 9
    assert row["annotated_pairs"] == with_a_pair


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("data=hub task=helpfulness F=2", ["collect=dataset needs F=1, and F=2"]),
        ("data=hub task=helpfulness F=T", ["collect=dataset needs F=1, and F=T"]),
        ("data=hub task=tldr F=1", ["needs data with preferences"]),
        ("F=4 T=0", ["needs F=1, and F=4", "needs data with preferences", "T=0: expected at least 1"]),
        ("data=files data.path={} F=1", ["needs data with preferences"]),
        ("data=files data.path={} data.chosen_column=c F=1", ["chosen_column=c, rejected_column=null: expected both"]),
        ("data=hub task=helpfulness F=1 collect.temperature=1", ["collect.temperature=1: no such key"]),
        ("data=hub task=helpfulness F=1", []),
        ("data=hub task=helpfulness F=T T=1", []),
        ("data=hub F=1 data.chosen_column=a data.rejected_column=b", []),
        # An oracle that is not asked may be any.
        ("data=hub task=helpfulness F=1 oracle=gold", []),
    ],
)
def test_what_it_needs(tmp_path: Path, arguments: str, said: list[str]) -> None:
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.jsonl", [{"prompt": split, "label": "b"}])
    found = problems_of(["collect=dataset", *arguments.format(tmp_path).split()])
    assert len(found) == len(said), found
    assert all(any(text in line for line in found) for text in said), found


def test_files_have_pairs_where_their_columns_are_named(tmp_path: Path, cache: Path) -> None:
    for split in ("train", "validation"):
        rows = [{"prompt": f"{split} {n}", "label": "l", "yes": f" {n}", "no": "b "} for n in range(3)]
        write(tmp_path / f"{split}.jsonl", rows)
    columns = ("data.chosen_column=yes", "data.rejected_column=no")
    config, _, _ = configured(cache, "data=files", f"data.path={tmp_path}", *columns, "collect=dataset", "F=1")
    assert config.data.load("tldr").train == [Row(f"train {n}", "l", None, str(n), "b") for n in range(3)]
    write(tmp_path / "train.jsonl", [{"prompt": "a", "label": "l", "yes": "y", "no": None}])
    assert config.data.problems("tldr") == [f"{tmp_path}/train.jsonl, line 1: 'no' is null, expected text"]


def finish(folder: Path, cache: Path, *overrides: str) -> None:
    _, plain, choices = configured(cache, *overrides)
    run_job(plain, choices, folder)


def test_a_sampled_run_on_a_hub_set_and_what_its_rows_know_of_them(
    tmp_path: Path,
    cache: Path,
    copy: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    finish(folder, cache, *copy)
    config, _, _ = configured(cache, *copy)
    rows = read_rows(folder / "results.jsonl")
    assert {row["data_fingerprint"] for row in rows} == {config.data.load("helpfulness").fingerprint()}
    assert (rows[-1]["data"], rows[-1]["annotated_pairs"], rows[-1]["oracle"]) == (
        "hub",
        16,
        "embedding:sentence-transformers/all-MiniLM-L6-v2",
    )
    # A finished run is answered without its data.
    monkeypatch.setattr(type(config.data), "load", lambda self, task: pytest.fail("the data was loaded"))
    finish(folder, cache, *copy)
    assert "is finished" in capsys.readouterr().out


def test_a_folder_of_a_run_on_other_rows_is_refused(tmp_path: Path, cache: Path, copy: tuple[str, ...]) -> None:
    built(tmp_path / "run", cache, *copy)
    write(tmp_path / "hh" / "helpful-base" / "test.jsonl", hh(range(300, 306)))
    before = (tmp_path / "run" / "identity.json").read_bytes()
    with pytest.raises(RunError, match="holds a run on other rows.*force=true"):
        finish(tmp_path / "run", cache, *copy)
    assert (tmp_path / "run" / "identity.json").read_bytes() == before
    write(tmp_path / "hh" / "helpful-base" / "test.jsonl", hh(range(200, 206)))
    built(tmp_path / "run", cache, *copy)  # the rows it was made from


def test_faulty_data_leaves_no_run_behind(tmp_path: Path, cache: Path, copy: tuple[str, ...]) -> None:
    (tmp_path / "hh" / "helpful-base" / "test.jsonl").write_text('{"chosen": 3}\n')
    with pytest.raises(ValueError, match="test.jsonl, line 1: 'chosen' is int, expected text"):
        finish(tmp_path / "run", cache, *copy)
    assert not (tmp_path / "run").exists()
