"""Updates of entries: moving averages, restarts, the k-means start, and when they happen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_run.training.losses import feature_gradient_norms, penalised
from crt_vq import VQ, Causal, Conv, Perturbed
from crt_vq.bottlenecks.codebook import Codebook
from crtcore import Noise
from crtcore.kinds import Encoded


def book(entries: list[float], **fields: Any) -> Codebook:
    """A Euclidean codebook of one channel with these entries."""
    codebook = VQ(codes=len(entries), width=1, compare="euclidean", **fields).build().double()
    codebook.entries.data = torch.tensor(entries, dtype=torch.float64)[:, None]
    return codebook


def step(codebook: Codebook, *values: float) -> Tensor:
    """The entries after a step on one sample with these features."""
    update(codebook, torch.tensor([values], dtype=torch.float64)[..., None])
    return codebook.entries.detach()[:, 0].clone()


def update(codebook: Codebook, features: Tensor, mask: Tensor | None = None) -> None:
    """Updates the statistics after a step on features; without a mask, all of them count."""
    output = codebook(features)
    mask = torch.ones(output.ids.shape, dtype=torch.bool) if mask is None else mask
    none = features.new_zeros(len(features))
    codebook.after_step(
        Encoded(features, output.latents, output.codes, output.ids, mask, features, none, output.rate, output.loss)
    )


def test_an_average_starts_at_its_first_features() -> None:
    assert step(book([0.0, 10.0], decay=0.9), 1.0, 2.0, 12.0).tolist() == pytest.approx([1.5, 12.0])


def test_an_average_weighs_the_past_by_the_decay() -> None:
    codebook = book([0.0, 10.0], decay=0.5)

    step(codebook, 1.0, 2.0)
    entries = step(codebook, 3.0)

    # (0.5 * (1 + 2) + 3) / (0.5 * 2 + 1)
    assert entries.tolist() == pytest.approx([2.25, 10.0])


def test_an_entry_that_is_averaged_has_no_gradient() -> None:
    codebook = book([0.0, 10.0], decay=0.5)

    step(codebook, 1.0)

    assert codebook.entries.grad is None


def test_an_average_follows_many_steps_without_features() -> None:
    codebook = book([0.0, 10.0], decay=0.5)

    for _ in range(1200):  # its mass is then 0, even in float64
        entries = step(codebook, 1.0)

    assert entries.tolist() == [1.0, 10.0]
    assert step(codebook, 1.0, 20.0).tolist() == [1.0, 20.0]


def test_an_idle_entry_restarts_at_a_feature_once_patience_ends() -> None:
    codebook = book([0.0, 100.0], patience=2)

    before, after = step(codebook, 1.0, 2.0), step(codebook, 1.0, 2.0)

    assert before.tolist() == [0.0, 100.0]
    assert after[0] == 0.0
    assert after[1] in (1.0, 2.0)


def test_an_entry_in_use_never_restarts() -> None:
    codebook = book([0.0, 10.0], patience=1)

    assert step(codebook, 1.0, 9.0).tolist() == [0.0, 10.0]


def test_at_most_as_many_entries_restart_as_there_are_features() -> None:
    codebook = book([0.0, 100.0, 200.0, 300.0], patience=1)

    assert step(codebook, 1.0).tolist() == [0.0, 1.0, 200.0, 300.0]


def test_a_restarted_entry_has_the_whole_patience_again() -> None:
    codebook = book([0.0, 100.0], patience=2)
    step(codebook, 1.0)
    moved = step(codebook, 1.0)
    codebook.entries.data[1] = 200.0

    assert moved.tolist() == [0.0, 1.0]
    assert step(codebook, 1.0).tolist() == [0.0, 200.0]


def test_a_restarted_average_forgets_its_features() -> None:
    codebook = book([0.0, 10.0], patience=1, decay=0.5)
    step(codebook, 0.0, 10.0)
    moved = step(codebook, 4.0)

    entries = step(codebook, 4.5)

    assert moved.tolist() == pytest.approx([8 / 3, 4.0])  # (0.5 * 0 + 0.5 * 4) / (0.25 + 0.5)
    assert entries[1].item() == 4.5


@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
def test_updates_do_not_change_the_gradient_of_entries(compare: Any) -> None:
    torch.manual_seed(0)
    plain = VQ(codes=32, compare=compare).build()
    kept = VQ(codes=32, compare=compare, start="k-means", patience=1).build()
    kept.entries.data.copy_(plain.entries.data)
    features = torch.randn(2, 4, 8, requires_grad=True)

    plain(features).loss.backward()
    kept(features).loss.backward()
    update(kept, features.detach())

    assert not torch.equal(kept.entries, plain.entries)
    assert kept.entries.grad is not None
    assert torch.equal(kept.entries.grad, plain.entries.grad)  # type: ignore[arg-type]


def test_k_means_finds_the_clusters_of_the_first_batch() -> None:
    clusters = 3 * torch.eye(8)
    features = clusters.repeat(32, 1) + 0.01 * torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    codebook = VQ(codes=64, start="k-means", compare="euclidean").build()

    update(codebook, features[None])

    assert torch.cdist(features, codebook.entries).min(1).values.max() < 0.1


def test_k_means_runs_once() -> None:
    codebook = VQ(codes=4, start="k-means").build()
    update(codebook, torch.randn(1, 16, 8))
    before = codebook.entries.detach().clone()

    update(codebook, torch.randn(1, 16, 8))

    assert torch.equal(codebook.entries, before)


def test_fewer_features_than_entries_leave_the_last_ones_as_they_were() -> None:
    codebook = book([50.0, 60.0, 70.0], start="k-means")

    entries = step(codebook, 1.0, 2.0)

    assert sorted(entries.tolist()) == [1.0, 2.0, 70.0]


KEPT = {"start": "k-means", "decay": 0.9, "patience": 1}


def test_forward_and_backward_passes_change_nothing() -> None:
    codebook = book([0.0, 10.0], **KEPT)
    before = {name: value.clone() for name, value in codebook.state_dict().items()}

    output = codebook(torch.ones(1, 2, 1, dtype=torch.float64).requires_grad_())
    (output.loss + output.codes.sum()).backward()

    assert all(torch.equal(value, before[name]) for name, value in codebook.state_dict().items())


def test_padding_does_not_count() -> None:
    padded, short = book([0.0, 10.0, 20.0], **KEPT), book([0.0, 10.0, 20.0], **KEPT)
    features = torch.tensor([[1.0, 12.0, 19.0]], dtype=torch.float64)[..., None]

    update(padded, features, torch.tensor([[True, True, False]]))
    update(short, features[:, :2])

    for name, value in padded.state_dict().items():
        assert torch.equal(value, short.state_dict()[name])


def test_a_restored_codebook_goes_on_bit_for_bit() -> None:
    straight, stopped = book([0.0, 10.0, 20.0], **KEPT), book([0.0, 10.0, 20.0], **KEPT)
    step(straight, 1.0, 2.0, 5.0)
    stopped.load_state_dict(straight.state_dict())

    assert torch.equal(step(stopped, 3.0, 4.0), step(straight, 3.0, 4.0))


def test_a_plain_codebook_keeps_no_more_than_its_entries() -> None:
    assert set(VQ(codes=4).build().state_dict()) == {"entries"}


def test_a_uniform_start_is_within_one_over_the_codes() -> None:
    entries = VQ(codes=50, start="uniform").build().entries

    assert entries.abs().max() <= 1 / 50
    assert entries.std().item() == pytest.approx(1 / 50 / 3**0.5, rel=0.2)


def test_gradient_norms_are_measured_without_an_update_and_a_step_updates_once() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    tokenizer = Conv(channels=4).build(VQ(codes=8, **KEPT).build(), images)
    regularizers = {"causal": (Causal(layers=0, start=0.0, ramp=0.0).build(tokenizer), 1.0)}

    with feature_gradient_norms(loss := penalised(images, tokenizer(images), regularizers, 0.5)) as norms:
        loss.total.backward()
    measured = int(tokenizer.bottleneck.upkeep.steps)
    assert loss.encoded is not None
    tokenizer.after_step(loss.encoded)

    assert norms.keys() == {"tokenizer", "causal"}
    assert (measured, int(tokenizer.bottleneck.upkeep.steps)) == (0, 1)


def test_statistics_of_swapped_codes_are_those_before_the_swap() -> None:
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    inner = VQ(codes=8, decay=0.9, patience=1)
    plain = Conv(channels=4).build(inner.build(), images)
    swapped = Conv(channels=4).build(Perturbed(bottleneck=inner, neighbours=4, swapped=1.0, share=1.0).build(), images)
    swapped.load_state_dict(
        {
            name.replace("k.", "k.bottleneck.", 1) if name.startswith("bottleneck.") else name: value
            for name, value in plain.state_dict().items()
        }
    )

    straight, other = plain(images), swapped(images, noise=Noise(torch.arange(8), "test"))
    plain.after_step(straight)
    swapped.after_step(other)

    assert not torch.equal(straight.ids, other.ids)
    for name, value in plain.bottleneck.state_dict().items():
        assert torch.equal(value, swapped.bottleneck.bottleneck.state_dict()[name])
