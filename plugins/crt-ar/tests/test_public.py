"""Public LlamaGen checkpoints: parity with the published equations, and written files."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from crt_ar import LlamaGen
from crt_ar.grid import GridTransformer
from crt_ar.public import load_llamagen, save_llamagen
from crtcore.errors import RunError

LAYERS, WIDTH, HEADS, SIDE, CODES, CLASSES = 2, 16, 2, 3, 11, 3
IDS = torch.tensor([[0, 3, 1, 10, 2, 2, 7, 5], [9, 2, 0, 1, 8, 8, 8, 4]])
WRITTEN = {"model": None, "optimizer": {"state": {}}, "steps": 7, "args": argparse.Namespace(gpt_model="GPT-B")}


def built() -> GridTransformer:
    return LlamaGen(layers=LAYERS, width=WIDTH, heads=HEADS).build(CODES, SIDE**2, CLASSES).eval()


def published() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of LlamaGen."""
    shapes: dict[str, tuple[int, ...]] = {
        "tok_embeddings.weight": (CODES, WIDTH),
        "cls_embedding.embedding_table.weight": (CLASSES + 1, WIDTH),
        "norm.weight": (WIDTH,),
        "output.weight": (CODES, WIDTH),
    }
    for layer in range(LAYERS):
        shapes |= {
            f"layers.{layer}.attention.wqkv.weight": (3 * WIDTH, WIDTH),
            f"layers.{layer}.attention.wo.weight": (WIDTH, WIDTH),
            f"layers.{layer}.feed_forward.w1.weight": (256, WIDTH),
            f"layers.{layer}.feed_forward.w3.weight": (256, WIDTH),
            f"layers.{layer}.feed_forward.w2.weight": (WIDTH, 256),
            f"layers.{layer}.attention_norm.weight": (WIDTH,),
            f"layers.{layer}.ffn_norm.weight": (WIDTH,),
        }
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def normalised(stream: Tensor, gain: Tensor) -> Tensor:
    return stream * torch.rsqrt((stream * stream).mean(-1, keepdim=True) + 1e-5) * gain


def rotated(vector: Tensor, position: int) -> Tensor:
    """A head's query or key: half of its pairs by the row, half by the column; 0 for the class, at position 0."""
    if position == 0:
        return torch.zeros_like(vector)
    row, column = divmod(position - 1, SIDE)
    half = len(vector) // 2
    speeds = 10000.0 ** (-torch.arange(0, half, 2) / half)
    angles = torch.cat((row * speeds, column * speeds))
    even, odd = vector[0::2], vector[1::2]
    pairs = even * angles.cos() - odd * angles.sin(), odd * angles.cos() + even * angles.sin()
    return torch.stack(pairs, -1).flatten()


def attended(stream: Tensor, weight: Tensor) -> Tensor:
    """One position and head at a time."""
    query, key, value = (stream @ weight.T).split(WIDTH, -1)
    size, rows = WIDTH // HEADS, []
    for here in range(len(stream)):
        parts = []
        for head in range(HEADS):
            at = slice(head * size, (head + 1) * size)
            scores = [
                rotated(query[here, at], here) @ rotated(key[there, at], there) / size**0.5 for there in range(here + 1)
            ]
            parts.append(torch.stack(scores).softmax(0) @ value[: here + 1, at])
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def reference(weights: dict[str, Tensor], ids: list[int], label: int) -> Tensor:
    """LlamaGen's transformer, one row in plain torch."""
    prefix = weights["cls_embedding.embedding_table.weight"][[label]]
    stream = torch.cat((prefix, weights["tok_embeddings.weight"][ids]))
    for layer in range(LAYERS):
        part = {name.split(".", 2)[2]: value for name, value in weights.items() if name.startswith(f"layers.{layer}.")}
        mixed = attended(normalised(stream, part["attention_norm.weight"]), part["attention.wqkv.weight"])
        stream = stream + mixed @ part["attention.wo.weight"].T
        features = normalised(stream, part["ffn_norm.weight"])
        gate = features @ part["feed_forward.w1.weight"].T
        inner = gate * gate.sigmoid() * (features @ part["feed_forward.w3.weight"].T)
        stream = stream + inner @ part["feed_forward.w2.weight"].T
    logits: Tensor = normalised(stream, weights["norm.weight"]) @ weights["output.weight"].T
    return logits


@pytest.mark.parametrize("label", [0, 2, -1])
def test_public_weights_give_the_logits_of_the_published_equations(tmp_path: Path, label: int) -> None:
    safetensors.torch.save_file(published(), tmp_path / "gpt.safetensors")
    prior = built()
    load_llamagen(tmp_path / "gpt.safetensors", prior)

    with torch.no_grad():
        logits = prior(IDS, torch.full((2,), label))

    for row, ids in enumerate(IDS.tolist()):
        expected = reference(published(), ids, label % (CLASSES + 1))  # -1 is the last row
        torch.testing.assert_close(logits[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_are_written_and_read_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    prior, other = built(), built()
    torch.nn.init.normal_(prior.head.weight)

    save_llamagen(tmp_path / f"gpt{suffix}", prior)
    load_llamagen(tmp_path / f"gpt{suffix}", other)

    assert torch.equal(other(IDS), prior(IDS))


def test_written_tensors_have_the_public_names(tmp_path: Path) -> None:
    prior = built()

    save_llamagen(tmp_path / "gpt.pt", prior)

    written = torch.load(tmp_path / "gpt.pt", weights_only=True)["model"]
    assert {name: value.shape for name, value in written.items()} == {
        name: value.shape for name, value in published().items()
    }


@pytest.mark.parametrize(
    "content",
    [published(), *({key: published()} for key in ("model", "module", "state_dict")), WRITTEN | {"model": published()}],
    ids=["bare", "model", "module", "state_dict", "with all that training keeps"],
)
def test_all_forms_of_a_public_file_are_read(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "gpt.pt")
    prior = built()

    load_llamagen(tmp_path / "gpt.pt", prior)

    assert torch.equal(prior.head.weight, published()["output.weight"])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    torch.save(published() | {"output.weight": torch.zeros(4, WIDTH)}, tmp_path / "gpt.pt")

    with pytest.raises(RunError, match=r"gpt.pt: expected 'output.weight' to be \[11, 16\], got \[4, 16\]; build"):
        load_llamagen(tmp_path / "gpt.pt", built())


def test_a_missing_or_surplus_tensor_is_named(tmp_path: Path) -> None:
    weights = published()
    weights["layers.2.ffn_norm.weight"] = weights.pop("norm.weight")
    torch.save(weights, tmp_path / "gpt.pt")

    with pytest.raises(RunError, match=r"expected 'layers.2.ffn_norm.weight' to be absent, got \[16\]"):
        load_llamagen(tmp_path / "gpt.pt", built())


def test_a_refused_file_changes_nothing(tmp_path: Path) -> None:
    torch.save(published() | {"tok_embeddings.weight": torch.full((CODES, WIDTH), torch.inf)}, tmp_path / "gpt.pt")
    prior = built()
    before = {name: value.clone() for name, value in prior.state_dict().items()}

    with pytest.raises(RunError, match=r"expected 'tok_embeddings.weight' to be finite in float32"):
        load_llamagen(tmp_path / "gpt.pt", prior)

    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": published(), "where": tmp_path}, tmp_path / "gpt.pt")

    with pytest.raises(
        RunError, match=r"expected tensors and plain values, got pathlib.PosixPath, which needs code to load"
    ):
        load_llamagen(tmp_path / "gpt.pt", built())


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, {"steps": 3}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "gpt.pt")

    with pytest.raises(RunError, match=r"gpt.pt: expected tensors by name, got"):
        load_llamagen(tmp_path / "gpt.pt", built())


def test_a_file_with_another_suffix_is_refused(tmp_path: Path) -> None:
    for use in (load_llamagen, save_llamagen):
        with pytest.raises(RunError, match=r"gpt.bin: expected a file that ends in .safetensors.* got '.bin'"):
            use(tmp_path / "gpt.bin", built())
