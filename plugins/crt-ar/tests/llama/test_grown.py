"""A Llama from a folder of which the last blocks and the rows of new ids are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch.nn import functional

from crt_ar import LlamaFolder
from crt_ar.llama.files import read_llama, write_llama
from crt_ar.llama.network import LlamaTransformer
from crtcore.errors import RunError

from .folders import CONFIG, IDS_KNOWN, LAYERS, TIED, laid

MORE = 4
IDS = torch.tensor([[0, 3, 12, 10, 14, 2, 7, 11], [9, 2, 0, 13, 8, 8, 8, 4]])


def built(tmp_path: Path, config: dict[str, Any], **fields: Any) -> LlamaTransformer:
    folder = tmp_path / "llama"
    if not folder.exists():
        laid(folder, config)
    prior: LlamaTransformer = LlamaFolder(folder=str(folder), **fields).build(IDS_KNOWN + MORE, 0, None)
    return prior


def stepped(prior: LlamaTransformer) -> None:
    """One step towards these rows."""
    optimizer = torch.optim.AdamW(prior.parameters(), lr=0.1, weight_decay=0.1, fused=True)
    functional.cross_entropy(prior(IDS)[:, :-1].flatten(0, 1), IDS.flatten()).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["untied", "tied"])
def test_it_starts_as_the_one_that_is_trained_whole(tmp_path: Path, config: dict[str, Any]) -> None:
    torch.testing.assert_close(built(tmp_path, config, trained=1)(IDS), built(tmp_path, config)(IDS))


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["untied", "tied"])
def test_a_step_changes_the_last_blocks_the_norm_and_new_rows_alone(tmp_path: Path, config: dict[str, Any]) -> None:
    prior = built(tmp_path, config, trained=1)
    before = {name: each.clone() for name, each in prior.state_dict().items()}

    stepped(prior)

    changed = {name for name, each in prior.state_dict().items() if not torch.equal(each, before[name])}
    frozen = {name for name in before if name.startswith("stack.blocks.0") or name.endswith(".known")}
    assert changed == before.keys() - frozen
    assert {"embedding.new", "stack.norm.gain"} <= changed
    assert len(prior.stack.blocks) == LAYERS


def test_its_gradients_are_those_of_the_whole(tmp_path: Path) -> None:
    parts, whole = built(tmp_path, TIED, trained=1), built(tmp_path, TIED)
    for prior in (parts, whole):
        functional.cross_entropy(prior(IDS)[:, :-1].flatten(0, 1), IDS.flatten()).backward()  # type: ignore[no-untyped-call]

    own, all_of = dict(parts.named_parameters()), dict(whole.named_parameters())
    assert own["embedding.known"].grad is None
    torch.testing.assert_close(own["embedding.new"].grad, all_of["embedding.weight"].grad[IDS_KNOWN:])
    for name in own.keys() & all_of.keys():
        if own[name].requires_grad:
            torch.testing.assert_close(own[name].grad, all_of[name].grad)


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["untied", "tied"])
def test_it_is_written_with_all_rows(tmp_path: Path, config: dict[str, Any]) -> None:
    prior = built(tmp_path, config, trained=1)
    stepped(prior)

    write_llama(tmp_path / "written", prior, shard=2000)

    read = read_llama(tmp_path / "written")
    assert read.vocabulary == IDS_KNOWN + MORE
    torch.testing.assert_close(read(IDS), prior(IDS))


def test_its_session_agrees_with_its_full_pass(tmp_path: Path) -> None:
    prior = built(tmp_path, TIED, trained=2)
    stepped(prior)
    session = prior.open(IDS[:, :2], capacity=6, room=4)
    extended = session.extend(IDS[:, 2:6])

    torch.testing.assert_close(session.next_logits, prior(IDS)[:, 2])
    torch.testing.assert_close(extended, prior(IDS)[:, 3:7])


def test_without_new_ids_no_row_is_trained(tmp_path: Path) -> None:
    laid(tmp_path / "llama", TIED)
    prior = LlamaFolder(folder=str(tmp_path / "llama"), trained=1).build(IDS_KNOWN, 0, None)
    ids = IDS.clamp(max=IDS_KNOWN - 1)
    before = prior.embedding.weight.clone()

    optimizer = torch.optim.AdamW(prior.parameters(), lr=0.1, fused=True)
    functional.cross_entropy(prior(ids)[:, :-1].flatten(0, 1), ids.flatten()).backward()  # type: ignore[no-untyped-call]
    optimizer.step()

    assert torch.equal(prior.embedding.weight, before)


def test_more_blocks_than_there_are_are_refused(tmp_path: Path) -> None:
    spec = LlamaFolder(folder=str(laid(tmp_path / "llama", TIED)))

    with pytest.raises(RunError, match=r"llama: expected at most 2 trained blocks, as there are, got 3"):
        attrs.evolve(spec, trained=3).build(IDS_KNOWN, 0, None)


def test_packed_rows_that_change_are_refused(tmp_path: Path) -> None:
    """Known and new rows are packed apart, so that a change of either is seen."""
    prior = built(tmp_path, TIED, trained=1).requires_grad_(False).eval()
    states = torch.randn(1, 2, prior.shape.width)
    with torch.no_grad():
        plain = prior.logits(states)
        prior.pack()
        torch.testing.assert_close(prior.logits(states), plain)
        prior.embedding.new.add_(1)
        with pytest.raises(ValueError, match="changed since they were packed"):
            prior.logits(states)
