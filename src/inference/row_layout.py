"""How prompts and their responses are laid out in the rows of one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.records import Ids


@dataclass(frozen=True)
class Layout:
    """B prompts with k responses each as rows of L tokens, and where the predictions of response tokens stand.

    Attributes:
        ids, positions: (rows, L).
        mask: what `attention_mask` takes: (rows, L), or what `src.inference.shared_attention` reads:
            (rows, 1, S, L), or lengths (1, 1, B, 1 + k).
        where: place, in the flattened rows, of the hidden state that predicts each response token; (n,).
        targets: those tokens; (n,).
        owner: response of each token, counted over all prompts, 0 .. B k - 1; (n,).
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
        """Adds up values of tokens, (N, n), by response: (N, B k)."""
        out = token_values.new_zeros(len(token_values), self.responses)
        return out.index_add(1, self.owner, token_values)


def shared_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """A row a prompt, its k responses behind it one after another, without their last tokens: those predict nothing."""
    P = max(map(len, prompts))
    S = max(sum(max(len(response) - 1, 0) for response in group) for group in responses)
    ids = torch.zeros(len(prompts), P + S, dtype=torch.long)
    positions = torch.zeros_like(ids)
    segment = torch.full((len(prompts), S), -1)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    where: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    number = 0
    for row, (prompt, group) in enumerate(zip(prompts, responses, strict=True)):
        ids[row, : len(prompt)] = torch.tensor(prompt)
        positions[row, : len(prompt)] = torch.arange(len(prompt))
        column = P
        for place, response in enumerate(group):
            seen = max(len(response) - 1, 0)
            if response:
                ids[row, column : column + seen] = torch.tensor(response[:-1], dtype=torch.long)
                positions[row, column : column + seen] = torch.arange(len(prompt), len(prompt) + seen)
                segment[row, column - P : column - P + seen] = place
                start = row * (P + S)
                where += [start + len(prompt) - 1, *range(start + column, start + column + seen)]
                targets += response
                owner += [number] * len(response)
            column += seen
            number += 1
    sees_prompt = (torch.arange(P) < lengths[:, None])[:, None].expand(-1, S, -1)  # (B, S, P)
    same = segment[:, :, None] == segment[:, None, :]
    mask = torch.cat([sees_prompt, same & torch.ones(S, S, dtype=torch.bool).tril()], dim=2)[:, None]
    return _on(device, ids, positions, mask, where, targets, owner, number)


def packed_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """As `shared_layout`, all of it one row without any padding: each prompt, its responses, the next prompt."""
    ids: list[int] = []
    positions: list[int] = []
    lengths: list[list[int]] = []
    where: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    number = 0
    for prompt, group in zip(prompts, responses, strict=True):
        last = len(ids) + len(prompt) - 1
        ids += prompt
        positions += range(len(prompt))
        lengths.append([len(prompt), *(max(len(response) - 1, 0) for response in group)])
        for response in group:
            if response:
                where += [last, *range(len(ids), len(ids) + len(response) - 1)]
                targets += response
                owner += [number] * len(response)
            ids += response[:-1]
            positions += range(len(prompt), len(prompt) + max(len(response) - 1, 0))
            number += 1
    row, places, mask = (torch.tensor(values, dtype=torch.long) for values in ([ids], [positions], [[lengths]]))
    return _on(device, row, places, mask, where, targets, owner, number)


def plain_layout(prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], device: torch.device) -> Layout:
    """A row a response behind a copy of its prompt, padded on the right."""
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
    """Rows sorted by length, the longest first, in batches of at most so many tokens; a longer row is one by itself."""
    found: list[list[int]] = []
    filled = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row], reverse=True):
        if found and filled + lengths[row] <= tokens:
            found[-1].append(row)
            filled += lengths[row]
        else:
            found.append([row])
            filled = lengths[row]
    return found


def batches(lengths: Sequence[tuple[int, int]], tokens: int) -> list[list[int]]:
    """As `packed_batches`, padding included in the tokens of a batch.

    Args:
        lengths: of the two parts of each row, which are padded apart: prompts to the longest prompt, responses to the
            longest responses.
    """
    found: list[list[int]] = []
    longest = (0, 0)
    for row in sorted(range(len(lengths)), key=lambda row: sum(lengths[row]), reverse=True):
        first, second = lengths[row]
        wider = max(longest[0], first), max(longest[1], second)
        if found and (len(found[-1]) + 1) * sum(wider) <= tokens:
            found[-1].append(row)
            longest = wider
        else:
            found.append([row])
            longest = lengths[row]
    return found
