from dataclasses import replace

from src.data.splits import Splits
from src.records import Row


def test_the_fingerprint_is_of_every_text_and_split() -> None:
    splits = Splits([Row("a", "b", None, "c", "d")], [Row("e", "f")], [Row("g", "h")])
    others = [
        replace(splits, train=[Row("a", "b", None, "c", "x")]),
        replace(splits, train=[Row("a", "b", None, "x", "d")]),
        replace(splits, train=[Row("a", "x", None, "c", "d")]),
        replace(splits, validation=[Row("x", "f")]),
        replace(splits, test=None),
        replace(splits, test=[Row("g", "x")]),
        replace(splits, train=splits.train + splits.validation, validation=splits.test or [], test=[]),
        replace(splits, validation=splits.validation * 2),
    ]
    assert len({one.fingerprint() for one in [splits, *others]}) == 1 + len(others)
    assert splits.fingerprint() == replace(splits).fingerprint()
