"""An end where a stop string is written, whatever was excluded before."""

from __future__ import annotations

import torch

from crt_hf.processors import Stopping


class Letters:
    """Reads id 0 as a, 1 as b, and so on."""

    def decode(self, ids: list[int]) -> str:
        """The letters of ids."""
        return "".join(chr(ord("a") + each) for each in ids)


def test_a_row_with_a_stop_string_ends_though_its_end_was_excluded() -> None:
    """As `top_k` and `min_new_tokens` exclude it: a row of -inf alone would be no distribution."""
    logits = torch.tensor([[1.0, -torch.inf, 2.0], [1.0, -torch.inf, 2.0]])
    ids = torch.tensor([[0, 2, 1], [0, 1, 2]])  # the first id is the prompt's

    stopped, goes_on = Stopping(Letters(), ["cb"], 1, end=1)(ids, logits)

    assert stopped.softmax(0).tolist() == [0.0, 1.0, 0.0]
    assert goes_on.equal(logits[1])
