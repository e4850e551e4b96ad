import time
from email.utils import formatdate

import pytest

from src.oracles.failures import retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0), ({"retry-after": "7"}, 7), ({"retry-after": "1.5"}, 1.5), ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, 0), ({"retry-after": ""}, 0), ({"retry-after": "nan"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25), ({"retry-after": "inf"}, float("inf")),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)  # fmt: skip
def test_how_long_to_wait_is_a_number(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


def test_how_long_to_wait_is_a_date() -> None:
    assert 3500 < retry_after({"retry-after": formatdate(time.time() + 3600, usegmt=True)}) <= 3600
