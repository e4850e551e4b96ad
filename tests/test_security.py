"""What a stranger sends runs no code, steers no terminal, and gets no key."""

import ast
import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from rich.console import Console
from transformers import AutoConfig

from analysis.errors import AnalysisError
from src import train
from src.cli.checks import secrets_in
from src.cli.compose import problems_of
from src.cli.conf import CONF, plain_config
from src.cli.overrides import flags_first
from src.cli.read_config import read_config
from src.evaluate import main as evaluate
from src.models.pretrained import load_model, load_tokenizer
from src.models.pretrained_reward import load_reward_model
from src.oracles.embedding import EmbeddingOracle
from src.run_folder import checkpoint
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable
from src.runtime.report import Report
from src.sample import main as sample
from src.storage.signed import checksum
from src.verify import main as verify
from tests.classifiers import save_classifier
from tests.commands import called
from tests.experiments import Experiment
from tests.forked import Forked
from tests.tiny import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
KEYS = {name: f"sk-{name.lower()}-0123456789" for name in ("OPENAI_API_KEY", "HF_TOKEN", "WANDB_API_KEY")}
# Colours, a cleared screen, a title, a bell, carriage return and backspace, a turned direction, an invisible space.
STEERING = "\x1b[2J\x1b[31m\x1b]0;title\x07\x9b5m\r\b\u202e\u200b\u2066"


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0")


class Mark:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that a stranger's code would make."""
    return tmp_path / "mark"


@pytest.mark.parametrize(
    "arguments",
    [
        ["loss._target_=os.mkdir"],
        ["++loss._target_=src.losses.dpo.DPO"],
        ["loss={_target_:os.mkdir,path:MARK}"],
        ["+evaluate.x={_target_:os.mkdir,path:MARK}"],
        ["++evaluate={_target_:os.mkdir,path:MARK}"],
        ["+hydra.callbacks.x._target_=os.mkdir", "+hydra.callbacks.x.path=MARK"],
        ["+hydra.callbacks={x:{_target_:os.mkdir,path:MARK}}"],
        ["+hydra.callbacks.x=${loss}"],
        ["hydra.launcher._target_=os.mkdir"],
        ["+hydra.sweeper.x={_target_:os.mkdir,path:MARK}"],
        ["hydra.searchpath=[file:///nowhere]"],
        ["--experimental-rerun", "config.pickle"],
        ["--config-path=/nowhere"],
        ["-cn", "stranger"],
        ["--config-dir", "YAML", "experiment=callback"],
        ["-cd=YAML", "experiment=callback", "-m", "seed=0,1"],
        ["--config-dir=YAML", "experiment=component"],
        ["--config-dir=YAML", "loss=own"],
        ["--config-dir=YAML", "hydra/callbacks=x"],
        ["--config-dir=YAML", "hydra/launcher=nested"],
        ["--config-dir=/nowhere"],
        ["--config-dir"],
    ],
)
def test_a_command_names_no_code(arguments: list[str], tmp_path: Path, mark: Path) -> None:
    code = {"_target_": "os.mkdir", "path": str(mark)}
    launcher = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher", "x": code}
    for name, group, content in (
        ("callback", "experiment", {"hydra": {"callbacks": {"x": code}}}),
        ("component", "experiment", {"reference": code}),
        ("own", "loss", code),
        ("x", "hydra/callbacks", {"x": code}),
        ("nested", "hydra/launcher", launcher),
    ):
        (tmp_path / "yaml" / group).mkdir(parents=True, exist_ok=True)
        header = "# @package _global_\n" if group == "experiment" else ""
        (tmp_path / "yaml" / group / f"{name}.yaml").write_text(header + yaml.safe_dump(content))
    texts = [one.replace("MARK", str(mark)).replace("YAML", str(tmp_path / "yaml")) for one in arguments]
    assert problems_of(flags_first(texts))
    assert not mark.exists()


def test_yaml_files_of_another_folder_are_composed_and_checked(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nT: 3\n")
    (tmp_path / "experiment" / "wrong.yaml").write_text("# @package _global_\nT: 0\n")
    assert problems_of([f"--config-dir={tmp_path}", "experiment=mine", "F=3"]) == []
    assert any("F=4" in line for line in problems_of([f"--config-dir={tmp_path}", "experiment=mine", "F=4"]))
    assert problems_of([f"--config-dir={tmp_path}", "experiment=wrong"]) == ["T=0: expected at least 1"]


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "src.storage.files.Path", "src.storage.files.shutil.rmtree", "src.train.run",
        "src.losses.base.PairLogps", "src.references.sft.Sft", "src.run_folder.folder.RunFolder",
        "src.losses.dpo.dataclass", "src.losses.dpo.F", "src.x.Y",
        "src.losses.dpo.Nothing", "src..dpo.DPO", "srcs.losses.DPO", "src.losses.dpo.DPO.__init__", "", "DPO", None, 3,
        ["src.losses.dpo.DPO"], {"x": 1}, "src.losses.dpo\n.DPO", "src.losses.base.Loss",
    ],
)  # fmt: skip
def test_a_component_is_one_of_the_projects_own_of_its_kind(target: object) -> None:
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        plain = plain_config(compose("train", return_hydra_config=True))
    assert read_config(plain)[1] == []
    plain["loss"]["_target_"] = target
    config, problems = read_config(plain)
    assert config is None and any(line.startswith("loss._target_=") for line in problems)


@pytest.mark.parametrize("command", [evaluate, sample, verify])
@pytest.mark.parametrize("group", ["judge", "task", "data"])
def test_a_runs_configuration_names_no_code(command, group: str, run: Path, tmp_path: Path, mark: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    settings = yaml.safe_load((copy / "config.yaml").read_text())
    settings[group] = {"_target_": "os.mkdir", "path": str(mark)}
    (copy / "config.yaml").write_text(yaml.safe_dump(settings))
    said = str(called(command, copy if command is verify else f"policy={copy}"))
    assert said == "1" if command is verify and group == "judge" else said != "None"
    assert not mark.exists()


@pytest.mark.parametrize("command", [evaluate, sample, verify])
@pytest.mark.parametrize("text", ["${oc.env:OPENAI_API_KEY}", "!!python/object/apply:os.mkdir [MARK]"])
def test_a_runs_configuration_looks_nothing_up(command, text, run, tmp_path, mark, monkeypatch, capsys) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["OPENAI_API_KEY"])
    copy = shutil.copytree(run, tmp_path / "run")
    whole = (copy / "config.yaml").read_text().replace("device: auto", "device: " + text.replace("MARK", str(mark)))
    (copy / "config.yaml").write_text(whole)
    said = str(called(command, copy if command is verify else f"policy={copy}"))
    assert said.startswith("error: ") and "config.yaml" in said
    assert KEYS["OPENAI_API_KEY"] not in said + capsys.readouterr().out and not mark.exists()


def test_a_model_that_is_a_pickle_is_not_unpickled(tmp_path: Path, mark: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({"x": Mark(mark)}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(RunError, match="cannot be loaded"):
        load_model(str(tmp_path / "model"), torch.float32)
    reward = save_classifier(tmp_path / "reward")
    (reward / "model.safetensors").unlink()
    (reward / "pytorch_model.bin").write_bytes(pickle.dumps(Mark(mark)))
    with pytest.raises(RunError, match="cannot be loaded"):
        load_reward_model(str(reward), torch.device("cpu"))
    assert not mark.exists()


def test_a_checkpoint_that_is_a_pickle_is_not_unpickled(experiment, mark: Path) -> None:
    one: Experiment = experiment()
    one.folder.checkpoint.mkdir(parents=True)
    file = one.folder.checkpoint / "any.pt"
    torch.save({"policy": Mark(mark), "progress": {"step": 1}, "run": {}}, file)
    file.rename(file.with_name(f"step_000001-{checksum(file)}.pt"))
    with pytest.raises(RunError, match="step_000001.*is no checkpoint of this version"):
        checkpoint.load(one.folder.checkpoint, one.policy, one.learner, lambda run, step: [], pytest.fail)
    assert not mark.exists()


def test_code_that_comes_with_a_model_is_not_run_and_nobody_is_asked(tmp_path, mark, monkeypatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a person was asked"))
    tiny_model().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "own.py").write_text(f"import pathlib; pathlib.Path({str(mark)!r}).touch()\nclass C: pass\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {f"Auto{kind}": "own.C" for kind in ("Config", "ModelForCausalLM")}}
    config["auto_map"]["AutoModelForSequenceClassification"] = "own.C"
    (tmp_path / "config.json").write_text(json.dumps(config))
    load_tokenizer(str(tmp_path))
    with pytest.raises(RunError, match="cannot be loaded"):
        load_model(str(tmp_path), torch.float32)
    with pytest.raises(RunError, match="cannot be loaded"):
        load_reward_model(str(tmp_path), torch.device("cpu"))
    with pytest.raises(ValueError, match="custom code"):
        AutoConfig.from_pretrained(tmp_path, trust_remote_code=False)
    assert not mark.exists()


def test_an_embedding_model_brings_no_modules(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    oracle = EmbeddingOracle(str(tmp_path), 0.0, 8, 0.0, 0.0)
    assert oracle.problems() == []
    for text, said in (
        ('[{"type": "sentence_transformers.models.Transformer"}, {"type": "own.Pooling"}]', "its module own.Pooling"),
        ("[{}]", "cannot be read"),
        ("{", "cannot be read"),
        ("3", "cannot be read"),
    ):
        (tmp_path / "modules.json").write_text(text)
        assert said in oracle.problems()[0]
    (tmp_path / "modules.json").write_text('[{"type": "sentence_transformers.models.Transformer"}]')
    assert oracle.problems() == []


def calls(tree: ast.AST) -> list[tuple[str, dict[str, str]]]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(one.func), {k.arg or "": ast.unparse(k.value) for k in one.keywords}) for one in found]


def test_the_source_loads_no_pickles_and_trusts_no_code() -> None:
    loads = 0
    for file in [*ROOT.glob("src/**/*.py"), *ROOT.glob("analysis/**/*.py"), *ROOT.glob("sweeps/**/*.py")]:
        tree = ast.parse(file.read_text())
        imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"pickle", "shelve", "marshal", "dill", "joblib", "hydra.utils"}, file
        for name, given in calls(tree):
            assert name not in ("eval", "exec", "os.system", "yaml.unsafe_load", "instantiate"), (file, name)
            if name == "torch.load":
                assert given.get("weights_only") == "True", file
            if name == "yaml.load":
                assert "SafeLoader" in given["Loader"], file
            if name.endswith(".from_pretrained") or name == "SentenceTransformer":
                assert given.get("trust_remote_code") == "False", (file, name)
                loads += 1
            assert given.get("shell") != "True" and given.get("allow_pickle") != "True", file
    assert loads >= 6


@pytest.mark.parametrize("make", [RunError, lambda text: ConfigError([text]), lambda text: AnalysisError([text])])
def test_messages_steer_no_terminal(make) -> None:
    said = str(make(f"a{STEERING}b é 文 שלום"))
    assert "é 文 שלום" in said and "\\x1b[2J" in said
    assert not set(said) & set(
        STEERING.replace("[2J", "").replace("[31m", "").replace("]0;title", "").replace("5m", "")
    )


def test_what_is_printed_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    report = Report(Console(file=out, soft_wrap=True, width=80))
    report.say(f"said {STEERING} [red]x[/] [/nothing]")
    report.warn(f"warned {STEERING} [/nothing]")
    with report.live(), report.stage(f"stage {STEERING} [/nothing]", 1):
        pass
    assert "said \\x1b" in out.getvalue() and "[red]x[/] [/nothing]" in out.getvalue()
    assert not {"\x1b", "\x9b", "\u202e", "\r", "\b", "\u200b"} & set(out.getvalue())


def test_printable_keeps_what_is_text() -> None:
    for text in ("", "a\nb", "é文🏳\ufe0f\u200d🌈", "שלום", "a\u00a0b"):
        assert printable(text) == text
    assert printable("\t\x00\ud800\u2028") == "\\t\\x00\\ud800\\u2028"


def test_a_configuration_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHORT_KEY", "dpo")
    found = secrets_in(
        {"a": {"b": f"x{KEYS['HF_TOKEN']}y"}, "c": [KEYS["OPENAI_API_KEY"]], "d": "dpo", "e": 3, "f": None}
    )
    assert [line.split(":")[0].split(";")[0] for line in found] == [
        "a.b holds the value of $HF_TOKEN", "c.0 holds the value of $OPENAI_API_KEY",
    ]  # fmt: skip
    assert not any(value in line for line in found for value in KEYS.values())
    for argument in ("cache=${oc.env:WANDB_API_KEY}", f"data.path=/{KEYS['WANDB_API_KEY']}"):
        found = problems_of(["data=files", argument])
        assert any("holds the value of $WANDB_API_KEY" in line for line in found)


@pytest.mark.slow
def test_no_key_is_in_what_a_run_leaves_or_says(tmp_path: Path) -> None:
    cache = tmp_path / "cache"  # of its own: every file is read
    env = {**KEYS, "HF_HUB_OFFLINE": "1"}
    said = ""
    for arguments in (
        ["logger=wandb"],
        ["seed=1", "learning_rate=1e30", "optimizer.max_grad_norm=null"],
        ["seed=2", "oracle=llm", "oracle.base_url=http://127.0.0.1:9/v1", "oracle.model=m", "oracle.retries=0"],
    ):
        said += Forked(train.main, tmp_path, "experiment=smoke", f"cache={cache}", *arguments, **env).communicate()[0]
    assert "127.0.0.1" in said
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 20 and any("wandb" in str(file) for file in files)
    for value in KEYS.values():
        assert value not in said
        assert not [file for file in files if value.encode() in file.read_bytes()]
