import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.cli.compose import problems_of
from src.models.pretrained_reward import load_reward_model
from src.oracles import reward_model
from src.oracles.reward_model import RewardModelOracle
from src.records import Prompt, Row
from src.runtime.errors import RunError
from src.storage.rows import read_rows
from tests.classifiers import save_classifier
from tests.experiments import built, configured


def oracle(path: object, **changes: object) -> RewardModelOracle:
    fields = {"input": "pair", "max_length": 96, "batch_tokens": 200, "device": "cpu", "temperature": 0.0, "flip": 0.0}
    return RewardModelOracle(**{"path": str(path)} | fields | changes)


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(id, Row(text, "label"), (2,), (3,)) for id, text in enumerate(texts)]


@pytest.mark.parametrize("input", ["pair", "chat"])
def test_a_response_is_scored_with_the_prompt_beside_it(tmp_path: Path, input: str) -> None:
    asked = oracle(save_classifier(tmp_path, "bert"), input=input)
    both = asked.score(None, prompts("a", "a longer prompt", "a"), ["x", "x", "another response"])
    assert len(set(both)) == 3
    assert asked.score(None, prompts("a longer prompt"), ["x"]) == pytest.approx(both[1:2], abs=1e-5)
    assert asked.score(None, [], []) == []


def test_oracle_and_judge_share_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_classifier(tmp_path, "llama")
    loads = []
    real = load_reward_model
    monkeypatch.setattr(
        "src.models.pretrained_reward.load_reward_model", lambda *given: loads.append(given) or real(*given)
    )
    reward_model.loaded.cache_clear()
    noisy, judge = oracle(tmp_path, temperature=0.5, flip=0.1), oracle(tmp_path)
    for one in (noisy, judge, noisy):
        one.load()
    assert noisy != judge and noisy.name == judge.name
    assert noisy.score(None, prompts("a"), ["b"]) == judge.score(None, prompts("a"), ["b"])
    assert len(loads) == 1
    oracle(save_classifier(tmp_path / "other", "bert")).load()
    assert len(loads) == 2


def test_the_name_tells_folders_of_one_name_apart(tmp_path: Path) -> None:
    first, second = (save_classifier(tmp_path / place / "reward", "llama") for place in "ab")
    (second / "config.json").write_text((second / "config.json").read_text() + " ")
    names = {oracle(first).name, oracle(second).name, oracle("OpenAssistant/reward").name}
    assert len(names) == 3
    assert sum(name.startswith("reward_model:reward-") for name in names) == 2
    assert "reward_model:OpenAssistant/reward" in names  # what the hub has is known by its name
    assert replace(oracle(first), temperature=1.0, flip=0.2).name == oracle(first).name


def test_problems_are_found_without_loading(tmp_path: Path) -> None:
    assert oracle("OpenAssistant/reward-model-deberta-v3-large-v2").problems() == []
    assert "no reward model there" in oracle(tmp_path / "nowhere").problems()[0]
    assert "no reward model there" in oracle(tmp_path).problems()[0]
    folder = save_classifier(tmp_path / "good", "llama")
    (folder / "model.safetensors").unlink()
    assert oracle(folder).problems() == []
    (two,) = oracle(save_classifier(tmp_path / "two", "bert", labels=2)).problems()
    assert "found BertForSequenceClassification with 2 labels" in two
    (folder / "reward.json").write_text(json.dumps({"input": "chat"}))
    assert oracle(folder, input="chat").problems() == []
    (other,) = oracle(folder).problems()
    assert "input=pair" in other and "was trained with input=chat" in other
    (folder / "reward.json").write_text("{")
    assert "cannot be read" in oracle(folder).problems()[0]
    (folder / "config.json").write_text("{")
    assert "cannot be read" in oracle(folder).problems()[0]
    assert "device=tpu" in oracle("a/b", device="tpu").problems()[0]


def test_a_model_that_cannot_be_loaded_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be loaded .*oracle.path=DIR judge.path=DIR"):
        oracle(tmp_path / "nowhere").load()


def test_bad_values_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)input=text.*max_length=0.*batch_tokens=0.*temperature=-1.*flip=0.5"):
        oracle("a/b", input="text", max_length=0, batch_tokens=0, temperature=-1, flip=0.5)
    with pytest.raises(ValueError, match="flip=-0.1: expected 0 <= flip < 0.5"):
        oracle("a/b", flip=-0.1)


def overrides(folder: Path) -> list[str]:
    return [
        "oracle=reward_model", "judge=reward_model", f"oracle.path={folder}", f"judge.path={folder}",
        "oracle.max_length=96", "judge.max_length=96",
    ]  # fmt: skip


def test_the_yaml_files_are_the_same_but_for_noise(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "reward", "bert")
    config, _, _ = configured(tmp_path / "cache", *overrides(folder))
    assert config.oracle == config.judge == oracle(folder, batch_tokens=8192, device="auto")


def test_a_wrong_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    found = problems_of(overrides(tmp_path / "nowhere"))
    assert [line.split(": ")[0] for line in found] == ["oracle", "judge"]
    assert all("no reward model there" in line for line in found)


def test_a_run_is_labelled_and_judged_by_a_reward_model(tmp_path: Path, cache: Path) -> None:
    folder = save_classifier(tmp_path / "reward", "bert")
    built(tmp_path / "run", cache, *overrides(folder), "oracle.temperature=0.5").run()
    final = read_rows(tmp_path / "run" / "results.jsonl")[-1]
    assert final["oracle"] == final["judge"] == oracle(folder).name
    assert final["judge_is_oracle"] is True and final["annotated_pairs"] == 16
    samples = [row for row in read_rows(tmp_path / "run" / "samples.jsonl") if row["step"] == final["step"]]
    asked = prompts(*(row["prompt"] for row in samples))
    for text, score in (("response", "response_score"), ("label", "label_score")):
        expected = oracle(folder).score(None, asked, [row[text] for row in samples])
        assert [row[score] for row in samples] == pytest.approx(expected, abs=1e-4)
