"""One system against another: a policy gets the row that its run gave it, and files need no policy."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from src.evaluate import main
from src.storage.rows import read_rows
from tests.after_training.saved_runs import ROWS, write_lines
from tests.commands import called, smoke

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["run", "lora"])
@pytest.mark.parametrize("inside", ["", "policy"])
def test_a_run_gets_its_own_result_again(
    name: str, inside: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    results, samples = tmp_path / "new" / "results.jsonl", tmp_path / "samples.jsonl"
    assert called(main, f"policy={folder / inside}", f"results={results}", f"samples={samples}") is None
    [row], expected = read_rows(results), read_rows(folder / "results.jsonl")[-1]
    assert (
        0 <= row["win_rate_low"] <= row["win_rate"] <= row["win_rate_high"] <= 1
        and row["system"] == folder.name
        and row["against"] == "label"
    )
    changed = {key for key in expected if row[key] != expected[key]}
    assert changed <= {"kl_sft", "git_sha", "sft_fingerprint"} and row["kl_sft"] is None
    said = [one for one in read_rows(folder / "samples.jsonl") if one["round"] == expected["round"]]
    of_runs = ("split", "round", "step", "proxy_score")
    assert read_rows(samples) == [{k: v for k, v in one.items() if k not in of_runs} for one in said]


def test_an_adapter_of_an_ensemble_and_a_moved_base(lora: Path, tmp_path: Path, cache: Path) -> None:
    member, results = tmp_path / "adapter", tmp_path / "results.jsonl"
    shutil.copytree(lora / "policy" / "members" / "1", member)
    assert called(main, f"policy={member}", *smoke(cache), f"results={results}") is None
    settings = json.loads((member / "adapter_config.json").read_text())
    base, settings["base_model_name_or_path"] = settings["base_model_name_or_path"], "/gone"
    (member / "adapter_config.json").write_text(json.dumps(settings))
    assert "an adapter for /gone, which is not there; base=DIR" in str(called(main, f"policy={member}", *smoke(cache)))
    shutil.copytree(base, tmp_path / "copy")
    assert called(main, f"policy={member}", f"base={tmp_path / 'copy'}", *smoke(cache), f"results={results}") is None
    first, second = read_rows(results)
    assert first["win_rate"] == second["win_rate"] and first["response_tokens_mean"] == second["response_tokens_mean"]
    assert first["loss"] is None and second["model"] == "copy"
    assert first["data_fingerprint"] == ROWS.fingerprint()


def test_the_sft_policy_gets_the_row_that_a_run_gave_it(run: Path, tmp_path: Path, cache: Path) -> None:
    assert called(main, "policy=sft", *smoke(cache), f"results={tmp_path / 'r.jsonl'}") is None
    [row] = read_rows(tmp_path / "r.jsonl")
    [expected] = [one for one in read_rows(run / "results.jsonl") if one["round"] == -1]
    for key in ("wins", "ties", "win_rate", "win_rate_length_controlled", "response_tokens_mean", "split"):
        assert row[key] == expected[key]
    assert set(expected) <= set(row) and row["loss"] is None and row["model"] == "tiny" and row["ensemble"] == 1
    assert row["data_fingerprint"] == expected["data_fingerprint"]


@pytest.mark.parametrize("kind", ["txt", "crlf", "jsonl", "shuffled"])
def test_a_file_of_responses_is_judged_without_a_policy(
    kind: str, run: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("src.after_training.load_policy", "src.learning.sft_cache", "src.models.saved_weights"):
        monkeypatch.setattr(f"{module}.load_model", lambda *_: pytest.fail("a model was loaded"))
    labels = [row.label for row in ROWS.test or []]
    # Better than the label (no word for the cost), as good, worse.
    said = ["", labels[1], labels[2] + " and more", *labels[4:], labels[0]]
    path = tmp_path / ("out.txt" if kind in ("txt", "crlf") else "out.jsonl")
    if path.suffix == ".txt":
        path.write_bytes(("\r\n" if kind == "crlf" else "\n").join([*said, ""]).encode())
    else:
        rows = [{"response": text, "prompt": row.prompt} for text, row in zip(said, ROWS.test or [], strict=True)]
        plain = [{"response": row["response"]} for row in rows]
        write_lines(path, plain if kind == "jsonl" else rows[::-1])
    results, samples = tmp_path / "results.jsonl", tmp_path / "samples.jsonl"
    assert called(main, f"responses={path}", *smoke(cache), f"results={results}", f"samples={samples}") is None
    [row] = read_rows(results)
    world = ROWS.world
    assert world is not None
    outcomes = []
    for text, one in zip(said, ROWS.test or [], strict=True):
        difference = world.gold_score(one.facts or {}, text) - world.gold_score(one.facts or {}, one.label)
        outcomes.append(0.5 if difference == 0 else float(difference > 0))
    assert row["win_rate"] == np.mean(outcomes) and row["ties"] == outcomes.count(0.5) >= 1
    assert [one["outcome"] for one in read_rows(samples)] == outcomes
    assert row["length_unit"] == "words" and row["response_tokens_mean"] is None
    assert row["response_words_mean"] == np.mean([len(text.split()) for text in said])
    expected = read_rows(run / "results.jsonl")[-1]
    assert set(expected) <= set(row) and row["split"] == "test" and row["judge"] == "gold" and row["loss"] is None
    assert row["data_fingerprint"] == ROWS.fingerprint()
    # What it wrote can be judged itself.
    assert called(main, f"responses={samples}", *smoke(cache), f"results={results}") is None
    assert read_rows(results)[1]["win_rate"] == row["win_rate"]


def test_with_a_model_lengths_are_in_its_tokens(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("".join(row.label + "\n" for row in ROWS.test or []))
    data = ("data.train=64", "data.validation=8", "data.test=12")
    shutil.copytree(run / "policy", tmp_path / "model")
    model = ("model=smollm2_135m", f"model.path={tmp_path / 'model'}")
    assert called(main, f"responses={path}", *data, *model, f"results={tmp_path / 'r.jsonl'}") is None
    [row] = read_rows(tmp_path / "r.jsonl")
    expected = read_rows(run / "results.jsonl")[-1]
    assert row["length_unit"] == "tokens" and row["win_rate"] == 0.5 and row["ties"] == 12
    assert row["response_tokens_mean"] == row["label_tokens_mean"] == expected["label_tokens_mean"]


def test_against_is_symmetric(tmp_path: Path, cache: Path) -> None:
    labels = [row.label for row in ROWS.test or []]
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("".join(text + "\n" for text in labels[::-1]))
    other.write_text("".join(text + "\n" for text in [*labels[6:], *labels[:6]]))
    results = tmp_path / "r.jsonl"
    for first, second in ((one, other), (other, one), (one, one)):
        assert called(main, f"responses={first}", f"against={second}", *smoke(cache), f"results={results}") is None
    forth, back, same = read_rows(results)
    assert forth["wins"] == back["losses"] > 0 and forth["ties"] == back["ties"]
    assert forth["win_rate"] == pytest.approx(1 - back["win_rate"])
    assert forth["win_rate_length_controlled"] == pytest.approx(1 - back["win_rate_length_controlled"], abs=1e-4)
    assert same["win_rate"] == 0.5 == same["ties"] / 24 and same["win_rate_se"] == 0
    assert forth["label_words_mean"] == back["response_words_mean"] and forth["against"] == "other.txt"


def test_a_policy_against_a_file_says_both_texts(run: Path, tmp_path: Path) -> None:
    other, samples = tmp_path / "other.txt", tmp_path / "s.jsonl"
    other.write_text("".join(f"other {i}\n" for i in range(12)))
    assert called(main, f"policy={run}", f"against={other}", f"samples={samples}") is None
    rows = read_rows(samples)
    assert [one["against"] for one in rows] == [f"other {i}" for i in range(12) for _ in range(2)]
    for one in rows:
        difference = one["response_score"] - one["against_score"]
        assert one["label_score"] is None and one["outcome"] == (0.5 if not difference else float(difference > 0))
