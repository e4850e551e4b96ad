"""Shuffling the splits of a source, and cutting the splits that the source lacks from train."""

from collections.abc import Mapping

from src.data.splits import Splits
from src.records import Row
from src.runtime.errors import ConfigError
from src.runtime.seeding import numpy_stream


def cut_splits(source: Mapping[str, list[Row]], sizes: Mapping[str, int | None], seed: int, where: str) -> Splits:
    """Shuffles each split and cuts it to its size.

    Splits that the source lacks are cut from train before train is cut to its own size, so that another size of train
    leaves them unchanged.

    Args:
        source: rows of train, and of validation and test if the source has them; no prompt occurs twice.
        sizes: most rows of train, validation and test; None for all. A test split of size None that the source lacks is
            left out.
        seed: seed of the shuffle.
        where: the source, for the message.

    Raises:
        ConfigError: if a split is empty.
    """
    shuffled = {
        name: [rows[index] for index in numpy_stream(seed, "split", name).permutation(len(rows))]
        for name, rows in source.items()
    }
    train = shuffled["train"]
    held_out: dict[str, list[Row]] = {}
    for name in ("test", "validation"):
        size = sizes[name]
        if name in shuffled:
            held_out[name] = shuffled[name][:size]
        elif size is not None:
            held_out[name], train = train[:size], train[size:]
    if not train or not all(held_out.values()):
        cut = ", ".join(f"data.{name}={len(rows)}" for name, rows in held_out.items() if name not in shuffled)
        count = len(source["train"])
        raise ConfigError([f"{where}: {cut} leave nothing of the {count} different prompts of its train split"])
    return Splits(train[: sizes["train"]], held_out["validation"], held_out.get("test"))
