"""CountSketch (Charikar, Chen, Farach-Colton 2002): a long vector in few numbers, linear, inner products kept.

Every coordinate has a random sign and a random bucket, and a bucket holds the sum of its signed coordinates. The cosine
of two sketches of `size` buckets is that of the vectors up to an error of about 1 / sqrt(size), as with a dense random
projection, at the cost of one addition a coordinate.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.runtime.seeding import torch_stream

# Coordinates made and added at a time: what stays in a processor's cache is several times faster than what does not.
AT_ONCE = 2**18


@dataclass(frozen=True)
class CountSketch:
    """Sketches vectors that come in named parts, a part at a time: none of them has to be there whole.

    A coordinate's sign and bucket are drawn anew from the seed and the part's name whenever they are needed: keeping
    them would take more memory than the vector.

    Args:
        size: buckets, > 0.
        seed: two sketches can be compared only under the same one.
    """

    size: int
    seed: int

    def empty(self, rows: int, device: torch.device) -> Tensor:
        """What parts are added to: (rows, 2 size), the positive and the negative sums of each bucket."""
        return torch.zeros(rows, 2 * self.size, device=device)

    def add(self, sums: Tensor, name: str, left: Tensor, right: Tensor) -> None:
        """Adds a part of every row's vector: the matrix sum over t of left[t] right[t]^T, coordinate by coordinate.

        Args:
            sums: as `empty` gives them, or some rows of that.
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
        """The sketches, (rows, size), once all parts are added."""
        return sums[:, : self.size] - sums[:, self.size :]
