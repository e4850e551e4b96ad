"""How prompts and their responses are laid out in the rows of one forward pass, and split into batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.records import Ids


@dataclass(frozen=True)
class Layout:
    """B prompts with k responses each as rows of L tokens, and which states predict the n response tokens.

    Attributes:
        ids, positions: (rows, L).
        mask: the model's `attention_mask`: (rows, L), or a mask that `src.inference.shared_attention` reads:
            (rows, 1, S, L), or packed lengths, (1, 1, B, 1 + k).
        where: index, in the flattened rows, of the hidden state that predicts each response token; (n,).
        targets: the response tokens; (n,).
        owner: the response that each token belongs to, 0 .. B k - 1; (n,).
        responses: B k.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    where: Tensor
    targets: Tensor
    owner: Tensor
    responses: int

    def sums(self, token_values: Tensor) -> Tensor:
        """Sums of values over the tokens of each response.

        Args:
            token_values: (N, n).

        Returns:
            (N, B k); 0 for an empty response.
        """
        out = token_values.new_zeros(len(token_values), self.responses)
        return out.index_add(1, self.owner, token_values)


def shared_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """One row per prompt: the prompt, then its k responses one after another.

    The last token of a response is left out, because it predicts nothing.

    Args:
        prompts: B prompts, each of at least one token.
        responses: B lists of k responses, of any length.
        device: where the tensors go.

    Returns:
        B rows; mask (B, 1, S, P + S).
    """
    P = max(map(len, prompts))
    S = max(sum(max(len(response) - 1, 0) for response in group) for group in responses)
    ids = torch.zeros(len(prompts), P + S, dtype=torch.long)
    positions = torch.zeros_like(ids)
    segment = torch.full((len(prompts), S), -1)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    where: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    response_index = 0
    for row, (prompt, group) in enumerate(zip(prompts, responses, strict=True)):
        ids[row, : len(prompt)] = torch.tensor(prompt)
        positions[row, : len(prompt)] = torch.arange(len(prompt))
        column = P
        for i, response in enumerate(group):
            seen = max(len(response) - 1, 0)
            if response:
                ids[row, column : column + seen] = torch.tensor(response[:-1], dtype=torch.long)
                positions[row, column : column + seen] = torch.arange(len(prompt), len(prompt) + seen)
                segment[row, column - P : column - P + seen] = i
                start = row * (P + S)
                where += [start + len(prompt) - 1, *range(start + column, start + column + seen)]
                targets += response
                owner += [response_index] * len(response)
            column += seen
            response_index += 1
    sees_prompt = (torch.arange(P) < lengths[:, None])[:, None].expand(-1, S, -1)  # (B, S, P)
    same = segment[:, :, None] == segment[:, None, :]
    mask = torch.cat([sees_prompt, same & torch.ones(S, S, dtype=torch.bool).tril()], dim=2)[:, None]
    return _on(device, ids, positions, mask, where, targets, owner, response_index)


def packed_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """As `shared_layout`, but everything in one row without padding: a prompt, its responses, the next prompt, ...

    Args:
        prompts, responses, device: as in `shared_layout`.

    Returns:
        One row; mask (1, 1, B, 1 + k) with the lengths.
    """
    ids: list[int] = []
    positions: list[int] = []
    lengths: list[list[int]] = []
    where: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    response_index = 0
    for prompt, group in zip(prompts, responses, strict=True):
        last = len(ids) + len(prompt) - 1
        ids += prompt
        positions += range(len(prompt))
        lengths.append([len(prompt), *(max(len(response) - 1, 0) for response in group)])
        for response in group:
            if response:
                where += [last, *range(len(ids), len(ids) + len(response) - 1)]
                targets += response
                owner += [response_index] * len(response)
            ids += response[:-1]
            positions += range(len(prompt), len(prompt) + max(len(response) - 1, 0))
            response_index += 1
    row, places, mask = (torch.tensor(values, dtype=torch.long) for values in ([ids], [positions], [[lengths]]))
    return _on(device, row, places, mask, where, targets, owner, response_index)


def plain_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """One row per response, after a copy of its prompt, padded on the right; for any causal language model.

    Args:
        prompts, responses, device: as in `shared_layout`.

    Returns:
        B k rows; mask (B k, L).
    """
    rows = [(prompt, response) for prompt, group in zip(prompts, responses, strict=True) for response in group]
    L = max(len(prompt) + max(len(response) - 1, 0) for prompt, response in rows)
    ids = torch.zeros(len(rows), L, dtype=torch.long)
    mask = torch.zeros_like(ids)
    where: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    for row, (prompt, response) in enumerate(rows):
        tokens = [*prompt, *response[:-1]]
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        start = row * L + len(prompt) - 1
        where += range(start, start + len(response))
        targets += response
        owner += [row] * len(response)
    positions = torch.arange(L).expand_as(ids).contiguous()
    return _on(device, ids, positions, mask, where, targets, owner, len(rows))


def _on(
    device: torch.device,
    ids: Tensor,
    positions: Tensor,
    mask: Tensor,
    where: list[int],
    targets: Sequence[int],
    owner: list[int],
    responses: int,
) -> Layout:
    return Layout(
        ids=ids.to(device),
        positions=positions.to(device),
        mask=mask.to(device),
        where=torch.tensor(where, dtype=torch.long, device=device),
        targets=torch.tensor(targets, dtype=torch.long, device=device),
        owner=torch.tensor(owner, dtype=torch.long, device=device),
        responses=responses,
    )


def packed_batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Batches of rows without padding.

    Args:
        lengths: of the rows, in tokens.
        tokens: the most tokens in a batch; a longer row is a batch by itself.

    Returns:
        Indices of the rows of each batch, the longest rows first.
    """
    batches: list[list[int]] = []
    filled = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row], reverse=True):
        if batches and filled + lengths[row] <= tokens:
            batches[-1].append(row)
            filled += lengths[row]
        else:
            batches.append([row])
            filled = lengths[row]
    return batches


def padded_batches(lengths: Sequence[tuple[int, int]], tokens: int) -> list[list[int]]:
    """Batches of padded rows; padding counts.

    Args:
        lengths: of the two parts of each row, in tokens. The parts are padded separately: prompts to the longest prompt
            of the batch, responses to the longest responses.
        tokens: the most tokens in a batch, padding included; a longer row is a batch by itself.

    Returns:
        Indices of the rows of each batch, the longest rows first.
    """
    batches: list[list[int]] = []
    longest = (0, 0)
    for row in sorted(range(len(lengths)), key=lambda row: sum(lengths[row]), reverse=True):
        first, second = lengths[row]
        wider = max(longest[0], first), max(longest[1], second)
        if batches and (len(batches[-1]) + 1) * sum(wider) <= tokens:
            batches[-1].append(row)
            longest = wider
        else:
            batches.append([row])
            longest = lengths[row]
    return batches
