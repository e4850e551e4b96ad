"""CountSketch (Charikar, Chen, Farach-Colton 2002): a linear projection to few numbers that keeps inner products.

Every coordinate has a random sign and a random bucket, and a bucket holds the sum of its signed coordinates. The cosine
of two sketches of `size` buckets differs from the vectors' cosine by about 1 / sqrt(size), as with a dense random
projection, at the cost of one addition a coordinate.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.runtime.seeding import torch_stream

# Coordinates per block: blocks that stay in the processor's cache are several times faster.
AT_ONCE = 2**18


@dataclass(frozen=True)
class CountSketch:
    """Sketches vectors that come in named parts, one part at a time; no vector is ever held whole.

    Signs and buckets are drawn again from the seed and the part's name whenever they are needed, since they would take
    more memory than the vector.

    Args:
        size: buckets, > 0.
        seed: sketches are comparable only under one seed.
    """

    size: int
    seed: int

    def empty(self, rows: int, device: torch.device) -> Tensor:
        """The sums that parts are added to: the positive and the negative sum of each bucket, (rows, 2 size)."""
        return torch.zeros(rows, 2 * self.size, device=device)

    def add(self, sums: Tensor, name: str, left: Tensor, right: Tensor) -> None:
        """Adds a part of every row's vector: the matrix sum over t of left[t] right[t]^T, coordinate by coordinate.

        Args:
            sums: rows of what `empty` returns.
            name: of the part.
            left, right: (rows, t, o) and (rows, t, i). A vector is right, (rows, 1, i), with left = 1.
        """
        coordinates = left.shape[2] * right.shape[2]
        generator = torch_stream(self.seed, "sketch", name, device=sums.device)
        places = torch.randint(2 * self.size, (coordinates,), generator=generator, device=sums.device)
        count = max(1, AT_ONCE // coordinates)
        for some, one, other in zip(sums.split(count), left.split(count), right.split(count), strict=True):
            some.index_add_(1, places, torch.bmm(one.transpose(1, 2), other).flatten(1).to(sums.dtype))

    def of(self, sums: Tensor) -> Tensor:
        """The sketches of the added parts, (rows, size)."""
        return sums[:, : self.size] - sums[:, self.size :]
