"""The parts of a round that need no policy."""

from src.collection.round import logp_difference
from src.records import Comparison, Response
from tests.tiny import numbered_prompts


def test_the_mean_difference_a_token() -> None:
    [prompt] = numbered_prompts(1)

    def pair(*sides: tuple[int, float | None, float]) -> Comparison:
        first, second = (Response(tuple(range(length)), "", logp) for length, logp, _ in sides)
        scored = (sides[0][2], sides[1][2])
        return Comparison(prompt, (first, second), None, 0, {"behavior": scored, "reference": (9.0, 9.0)})

    assert logp_difference([pair((4, -3.0, -2.0), (6, -5.0, -5.5)), pair((10, -1.0, -1.0), (0, 0.0, 0.0))]) == 1.5 / 20
    assert logp_difference([pair((4, None, -2.0), (6, None, -5.0))]) is None
    assert logp_difference([]) is None
