"""Reading a sweep file, and what is refused."""

from pathlib import Path

import pytest

from src.runtime.errors import ConfigError
from sweeps.grid import narrowed, read_grid


def written(folder: Path, text: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(text)
    return file


def test_values_are_read_in_order_and_as_typed(tmp_path: Path) -> None:
    some = "F: {values: [1, T, 16]}, force: {value: false}, x: {value: null}, lr: {values: [1.0e-4]}"
    text = f"method: grid\nparameters: {{{some}}}"
    assert read_grid(written(tmp_path, text)) == {
        "F": ["1", "T", "16"],
        "force": ["false"],
        "x": ["null"],
        "lr": ["0.0001"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: bayes\nparameters: {F: {value: 1}}", "method=bayes: only grid"),
        ("parameters: {F: {value: 1}}", "method=None: only grid"),
        ("method: grid\nparameters: {F: {min: 1, max: 4}}", "F: .*expected value: or values:"),
        ("method: grid\nparameters: {F: {distribution: uniform, values: [1]}}", "F: .*expected value: or values:"),
        ("method: grid\nparameters: {F: {values: []}}", "F: .*expected value: or values:"),
        ("method: grid\nparameters: {F: {values: [[1]]}}", "F: .*expected value: or values:"),
        ("method: grid\nparameters: {model: {parameters: {x: {value: 1}}}}", "model: .*expected value: or values:"),
        ("method: grid\nparameters: {F: 1}", "F: 1: expected value: or values:"),
        ("method: grid", "has no parameters"),
        ("", "has no parameters"),
        ("- 1", "has no parameters"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_grid(written(tmp_path, text))


def test_every_problem_is_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_grid(written(tmp_path, "method: random\nparameters: {F: {min: 1}, T: {max: 2}, seed: {value: 0}}"))
    assert len(error.value.problems) == 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        read_grid(tmp_path / "nothing.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.yaml: is not YAML"):
        read_grid(tmp_path / "bytes.yaml")


def test_overrides_take_the_place_of_parameters() -> None:
    grid = {"F": ["1", "2"], "seed": ["0", "1"]}
    assert narrowed(grid, []) == ["F=1,2", "seed=0,1"]
    assert narrowed(grid, ["T=4", "seed=7"]) == ["F=1,2", "seed=7", "T=4"]
    assert narrowed(grid, ["seed=3", "T=4", "seed=7"]) == ["F=1,2", "seed=7", "T=4"]  # the last one holds
    # A parameter keeps its place: what varies slowest is what the file says.
    assert narrowed(grid, ["F=T", "T=4"]) == ["F=T", "seed=0,1", "T=4"]
