"""The masks of the real xformers are ours, and what crt-nn gives it is what it takes."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import pytest
import torch
from torch import Tensor
from ways import CACHED, DEVICE, by_sdpa, random_step

from crt_nn.attention import Attention
from crt_nn.backends import XFORMERS, bias, choose, obstacle, repeat_heads
from crt_nn.context import AttentionContext
from crt_nn.slots import Ancestry

CHAIN_OF_THREE = torch.tensor([[-1, 0, 1]])
on_cpu = pytest.mark.skipif(DEVICE.type != "cpu", reason="its kernels run here")
on_gpu = pytest.mark.skipif(DEVICE.type != "cuda", reason="its kernels need a GPU")


@pytest.fixture(scope="module")
def fmha() -> Any:
    """The module of its attention and masks."""
    return importlib.import_module(XFORMERS)


def lines(parents: Tensor, cached: int = 0) -> Tensor:
    """The keys that nodes read, by the code of sessions: `b t s`."""
    line = Ancestry(parents).extend(parents, parents >= -1)
    return torch.nn.functional.pad(line, (cached, 0), value=True)


def marks(mask: Any, queries: int, keys: int) -> Tensor:
    """Where a mask of xformers is 0; elsewhere it is -inf."""
    values = mask.materialize((queries, keys), dtype=torch.float32, device="cpu")
    assert ((values == 0) | (values == -torch.inf)).all()
    return values == 0


def test_its_causal_mask_is_a_chain_of_ours(fmha: Any) -> None:
    assert torch.equal(marks(fmha.attn_bias.LowerTriangularMask(), 3, 3), lines(CHAIN_OF_THREE)[0])


def test_its_mask_of_new_queries_is_a_chain_behind_a_cache(fmha: Any) -> None:
    mask = fmha.attn_bias.LowerTriangularFromBottomRightMask()

    assert torch.equal(marks(mask, 3, 8), lines(CHAIN_OF_THREE, cached=5)[0])


def test_its_mask_of_ragged_rows_is_ours_row_by_row(fmha: Any) -> None:
    cached = [2, 5]
    mask = fmha.attn_bias.BlockDiagonalCausalWithOffsetPaddedKeysMask.from_seqlens(
        q_seqlen=[3, 3], kv_padding=8, kv_seqlen=[count + 3 for count in cached]
    )

    whole = marks(mask, 6, 16)

    for row, count in enumerate(cached):
        own = lines(CHAIN_OF_THREE, cached=count)[0]
        padded = torch.nn.functional.pad(own, (8 * row, 16 - 8 * row - own.shape[1]), value=False)
        assert torch.equal(whole[3 * row : 3 * row + 3], padded)


def test_its_blocks_do_not_read_one_another(fmha: Any) -> None:
    mask = fmha.attn_bias.BlockDiagonalMask.from_seqlens([2, 3])

    assert torch.equal(marks(mask, 5, 5), torch.block_diag(torch.ones(2, 2), torch.ones(3, 3)).bool())


def test_its_tree_is_ours() -> None:
    tree = importlib.import_module("xformers.ops.tree_attention")
    paths = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]
    parents = torch.tensor([[-1, *(paths.index(path[:-1]) + 1 if len(path) > 1 else 0 for path in paths)]])

    made = tree.TreeAttnMetadata.from_tree_choices(paths, dtype=torch.float32, device="cpu")

    values = made.attention_bias
    size = len(paths) + 1
    assert torch.equal(values.reshape(values.shape[-2:])[:size, :size] == 0, lines(parents)[0])


def test_its_masks_give_our_attention(fmha: Any) -> None:
    step = random_step(3)
    rows, nodes, heads, _ = step.query.shape
    chain = torch.arange(-1, nodes - 1, device=DEVICE).expand(rows, -1)
    step = step._replace(visible=lines(chain, cached=CACHED))
    mask = fmha.attn_bias.LowerTriangularFromBottomRightMask().materialize(
        (rows, heads, *step.visible.shape[1:]), dtype=torch.float32, device=DEVICE
    )
    key, value = repeat_heads(step.key, heads), repeat_heads(step.value, heads)

    mixed = torch.nn.functional.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (step.query, key, value)), attn_mask=mask
    ).transpose(1, 2)

    torch.testing.assert_close(mixed, by_sdpa(step))


@pytest.mark.parametrize("keys", [13, 16])
def test_it_takes_our_tensor_of_a_mask_but_for_the_device(fmha: Any, keys: int) -> None:
    """Each of its operators that takes a tensor as the mask states what keeps it from running."""
    visible = torch.ones(2, 3, keys, dtype=torch.bool)
    visible[:, 0, 5:] = False
    query, key = torch.zeros(2, 3, 4, 16), torch.zeros(2, keys, 4, 16)
    inputs = fmha.Inputs(query, key, key, attn_bias=bias(visible, 4, query.dtype))

    inputs.validate_inputs()
    reasons = fmha.cutlass.FwOp.not_supported_reasons(inputs)

    assert not [reason for reason in reasons if "device" not in reason and "was built" not in reason]


def test_a_mask_whose_rows_are_not_aligned_is_refused(fmha: Any) -> None:
    """The padding of `bias` is for this."""
    query, key = torch.zeros(2, 3, 4, 16), torch.zeros(2, 13, 4, 16)
    inputs = fmha.Inputs(query, key, key, attn_bias=torch.zeros(2, 4, 3, 13))

    assert any("align" in reason for reason in fmha.cutlass.FwOp.not_supported_reasons(inputs))


@on_cpu
def test_the_real_one_is_named_as_what_cannot_run_on_a_cpu() -> None:
    version = importlib.metadata.version("xformers")
    features = torch.zeros(1, 3, 8)
    context = AttentionContext(torch.arange(3)[None])
    attention = Attention(8, heads=2)

    attention(features, context)

    assert obstacle(DEVICE, torch.float32, 16) == f"xformers {version} cannot run on cpu"
    assert attention.backend == f"sdpa (xformers {version} cannot run on cpu)"
    with pytest.raises(ValueError, match="expected xformers to run, but xformers"):
        Attention(8, heads=2, backend="xformers")(features, context)


@on_gpu
def test_the_real_one_is_chosen_on_a_gpu() -> None:
    _, name = choose("auto", torch.zeros(1, 2, 1, 64, device=DEVICE))

    assert name == f"xformers {importlib.metadata.version('xformers')}"
