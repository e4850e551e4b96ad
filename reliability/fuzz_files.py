"""Fuzzed files: rows of any text, written in any format, packing and encoding to any path, must be read as they are.

Beside the other kinds, which may refuse, these cases are sound: a refusal is wrong, and so is any other text.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from reliability.garble import NASTY

# What shells, glob, fsspec, Hydra and terminals read as something else.
SIGNS = tuple("[]*?{}~#%:$&;!'\"\\ ,=()|<>^`@+-_.\n\t") + (
    "::",
    "://",
    "%41",
    "é",
    "漢",
    "🎉",
    "[ab]",
    "**",
    "..",
    "${x}",
)
SPECIAL = ("<|endoftext|>", "</s>", "<eos>", "<|im_end|>", "[SEP]", "<start_of_turn>user", "<pad>", "<0x0A>")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
Rows = list[dict[str, str]]


class Wrong(Exception):
    """Files that were read as something else than what was written."""


def files(rng: Random, folder: Path) -> None:
    """Rows for data=files, data=hub or src.evaluate in a folder of any name, beside others that its name may match."""
    place = folder / _name(rng)
    place.mkdir(parents=True)
    for decoy in ("a", "b", "ab", "set1", "x"):
        if not (folder / decoy).exists():
            _write(rng, folder / decoy, "train", [{"prompt": "elsewhere", "label": "elsewhere"}])
    rows = [{"prompt": f"{number} {_text(rng)}".strip(), "label": f"a {_text(rng)}".strip()} for number in range(5)]
    _write(rng, place, "train", rows)
    _write(rng, place, "validation", [{"prompt": "held out", "label": "b"}])
    reader = rng.choice((_by_files, _by_files, _by_one_file, _by_hub, _by_responses))
    read, expected = reader(rng, place, rows)
    if read != expected:
        raise Wrong(f"{reader.__name__} of {place.name!r}: got {read}, expected {expected}")


Read = tuple[list[tuple[str, str]], list[tuple[str, str]]]


def _pairs(rows: Rows, label: str = "label") -> list[tuple[str, str]]:
    return [(row["prompt"], row[label]) for row in rows]


def _by_files(rng: Random, place: Path, rows: Rows) -> Read:
    from src.data.files import FilesData

    splits = FilesData(str(place), None, "prompt", "label", None, None, "refuse").load("tldr")
    return [(row.prompt, row.label) for row in splits.train], _pairs(rows)


def _by_one_file(rng: Random, place: Path, rows: Rows) -> Read:
    from src.data.files import FilesData

    many = [*rows, *({"prompt": f"more {number}", "label": "c"} for number in range(40))]
    file = _write(rng, place / "one", "any name", many)
    named = FilesData(str(file), [0.5, 0.5], "prompt", "label", None, None, "refuse").load("tldr").named()
    return sorted((row.prompt, row.label) for split in named.values() for row in split), sorted(_pairs(many))


def _by_hub(rng: Random, place: Path, rows: Rows) -> Read:
    from src.data.hub import HubData

    hub = HubData(
        path=str(place.parent), data_dir=place.name, revision=None, layout="columns", prompt_column="prompt",
        prompt_suffix="", label_column="label", chosen_column=None, rejected_column=None, rows_without_text="refuse",
        train_split="train", validation_split="validation", test_split=None, train=None, validation=None, test=None,
        seed=0,
    )  # fmt: skip
    return sorted((row.prompt, row.label) for row in hub.load("tldr").train), sorted(_pairs(rows))


def _by_responses(rng: Random, place: Path, rows: Rows) -> Read:
    from src.after_training.responses_file import read_responses

    file = _write(rng, place / "out", "out", [{"prompt": row["prompt"], "response": row["label"]} for row in rows])
    responses, problems = read_responses(file)
    if responses is None or responses.prompts is None:
        raise Wrong(f"{file.name!r} was refused: {problems}")
    return list(zip(responses.prompts, responses.texts, strict=True)), _pairs(rows)


def _name(rng: Random) -> str:
    """A folder's name of signs and letters; not hidden, and no way up."""
    name = "".join(rng.choice((*SIGNS, "a", "b", "1")) for _ in range(rng.randint(1, 8))).replace("/", "")
    return f"a{name}" if name.startswith((".", "~")) or not name.strip(".") else name


def _text(rng: Random) -> str:
    """Words with signs, special tokens and nasty texts among them, that UTF-8 can hold."""
    parts = [rng.choice((*SPECIAL, *SIGNS, *NASTY, "word", "words")) for _ in range(rng.randint(1, 4))]
    return rng.choice((" ", "")).join(parts).encode("utf-8", "replace").decode()


def _write(rng: Random, folder: Path, stem: str, rows: Rows) -> Path:
    """Writes rows in a format, an encoding and a packing drawn at random."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix = rng.choice((".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet"))
    content = _parquet(rows) if suffix == ".parquet" else _as_text(rng, suffix, rows).encode(rng.choice(ENCODINGS))
    packed = rng.choice((*PACKERS, ".zip"))
    file = folder / f"{stem}{suffix}{packed}"
    if packed == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(file.stem, content)
    else:
        file.write_bytes(PACKERS[packed](content))
    return file


def _as_text(rng: Random, suffix: str, rows: Rows) -> str:
    if suffix in (".csv", ".tsv"):
        text = io.StringIO(newline="")
        end = rng.choice(("\r\n", "\n"))
        separator = "," if suffix == ".csv" else "\t"
        # Quoted, or a lone CR would be another row for some readers.
        writer = csv.DictWriter(text, list(rows[0]), delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    escaped = rng.random() < 0.5
    if suffix == ".json" and rng.random() < 0.7:
        return json.dumps(rows, ensure_ascii=escaped, indent=rng.choice((None, 0, 2)))
    return rng.choice(("\n", "\r\n", "\n\n")).join(json.dumps(row, ensure_ascii=escaped) for row in rows)


def _parquet(rows: Rows) -> bytes:
    import pyarrow
    import pyarrow.parquet

    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), content)
    return content.getvalue()
