"""Noise: counter-based random integers, the same bits on every device.

Element (i, j, k) of a stream is a pure function of the seed: resuming, batch size and batch neighbours change nothing.
Source: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; Philox-4x32-10.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


_WORD = 0xFFFFFFFF
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # Salmon et al., table 2
_WEYL = 0x9E3779B9, 0xBB67AE85


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Philox-4x32-10 of four counter words under two key words, all 32 bits in int64.

    Cost: ten operations a round, as both products are taken at once. A product of two words has 64 bits: as an int64
    it wraps round, and its halves are those of the unwrapped one.
    """
    import torch

    like = counter[0]
    multipliers, weyl = (
        torch.tensor(pair, device=like.device).view(2, *[1] * like.dim()) for pair in (_MULTIPLIERS, _WEYL)
    )
    odd, even = torch.stack((counter[0], counter[2])), torch.stack((counter[1], counter[3]))
    keys = torch.stack(key)
    for _ in range(10):
        product = multipliers * odd
        high, low = product >> 32 & _WORD, product & _WORD
        odd, even = high.flip(0) ^ even ^ keys, low.flip(0)
        keys = keys + weyl & _WORD
    return odd[0], even[0], odd[1], even[1]


def _word(stream: str) -> int:
    return zlib.crc32(stream.encode())


_word._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as `torch.compiler.assume_constant_result` does


class Noise:
    """A stream of random integers under `seed` (a number, or a tensor with one for each sample)."""

    def __init__(self, seed: int | Int[Tensor, "..."], stream: str) -> None:
        import torch

        self.seed = torch.as_tensor(seed, dtype=torch.int64)
        self.stream = stream

    def under(self, name: str) -> Noise:
        """An independent stream under the same seeds."""
        return Noise(self.seed, f"{self.stream}/{name}")

    def bits(self, *indices: int | Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """32-bit integers for up to three indices under 2**32, broadcast against each other and the seed."""
        return self._words(*indices)[0]

    def shorts(self, size: int, *indices: int | Int[Tensor, "..."]) -> Int[Tensor, "... size"]:
        """`size` 16-bit integers for up to two indices: many at an eighth of the cost of `bits`."""
        import torch

        rounds = torch.arange(-(-size // 8), device=self.seed.device)
        places = [torch.as_tensor(index, device=self.seed.device)[..., None] for index in indices]
        words = torch.stack(Noise(self.seed[..., None], self.stream)._words(*places, rounds), -1)  # ... rounds 4
        return torch.stack((words & 0xFFFF, words >> 16), -1).flatten(-3)[..., :size]

    def _words(self, *indices: int | Int[Tensor, "..."]) -> tuple[Int[Tensor, "..."], ...]:
        import torch

        if len(indices) > 3:
            raise ValueError(f"expected at most 3 indices, got {len(indices)}")
        device = self.seed.device
        counter = [torch.as_tensor(index, dtype=torch.int64, device=device) for index in indices]
        counter += [torch.zeros((), dtype=torch.int64, device=device)] * (3 - len(counter))
        counter.append(torch.tensor(_word(self.stream), device=device))
        *words, low, high = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
            *counter, self.seed & _WORD, self.seed >> 32 & _WORD
        )
        return philox((words[0], words[1], words[2], words[3]), (low, high))

    def uniforms(self, *indices: int | Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Uniform integers below 2**24, for accept tests."""
        return self.bits(*indices) >> 8

    def seeds(self, *indices: int | Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Seeds of 62 bits for up to two indices."""
        return self.bits(*indices, 0) << 30 ^ self.bits(*indices, 1)

    def order(self, size: int, *indices: int | Int[Tensor, "..."]) -> Int[Tensor, "... size"]:
        """A permutation of `size` things for up to two indices, or one for each of their values."""
        import torch

        places = [torch.as_tensor(index)[..., None] for index in indices]
        return torch.argsort(self.bits(torch.arange(size), *places), stable=True)


def derive(seed: int, name: str) -> int:
    """A seed for the part called `name`."""
    return int(Noise(seed, f"seed of {name}").seeds())
