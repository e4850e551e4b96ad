"""Decoding: one token after another for a batch of B prompts with k responses each.

Rows are responses, (B k) in the order of the prompts; finished rows leave. There are two implementations:

- `src.inference.plain_decoding` uses the cache of transformers. Each row has its own copy of its prompt's keys and
  values, and every step copies all of them to append one token, then repeats them for every group of query heads. With
  prompts of hundreds of tokens, most of a step's time goes into copying.
- `src.inference.shared_decoding` keeps a prompt's keys and values once for its k responses, writes those of the
  responses in place, and copies nothing. It works for models that `src.inference.shared_attention` can be installed in.

Both must give the same logits up to rounding; the plain implementation is what the shared one is tested against.
"""

from typing import Protocol

from torch import Tensor


class Decoder(Protocol):
    """The responses being written.

    Attributes:
        logits: of the next token of each row, (rows, vocabulary).
    """

    logits: Tensor

    def keep(self, rows: Tensor) -> None:
        """Drops every other row.

        Args:
            rows: indices of the rows that stay, increasing; (rows kept,).
        """
        ...

    def step(self, tokens: Tensor) -> None:
        """Appends one token to each row and updates `logits`.

        Args:
            tokens: (rows,).
        """
        ...
