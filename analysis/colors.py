"""Colors as `#rrggbb`."""

# The palette of Okabe and Ito, distinct in every kind of color vision, without the yellow and the black that vanish on
# paper or screen.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a68b3", "#8c6d31")


def between(first: str, second: str, share: float) -> str:
    """A color between two others.

    Args:
        share: 0 gives the first color, 1 the second.
    """
    ends = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (first, second)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))
