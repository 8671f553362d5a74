"""Tokenizers over a bottleneck whose codes are random: noise reaches them, by sample, and nothing else is random."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_latent.text_chunks.spec import TextChunks
from crt_laws.laws.tokenizer import traces
from crt_laws.toys import Patches
from crt_vib import Gaussian
from crt_vq import VQ, Conv
from crtcore import Noise

SPECS = [Patches(), Conv(channels=4), TextChunks(chunk=4, rate=2, width=8, heads=2)]


def data(form: str) -> Tensor:
    """Four samples."""
    generator = torch.Generator().manual_seed(0)
    return traces(generator, 4) if form == "trace" else torch.rand(4, 1, 8, 8, generator=generator)


def built(spec: Any) -> tuple[Any, Tensor]:
    """A tokenizer over a Gaussian bottleneck, and four samples."""
    torch.manual_seed(0)
    samples = data(spec.form)
    latent = Gaussian(width=6, latent=6).build()
    return spec.build(latent, samples, 11 if spec.form == "trace" else None), samples


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_sample_s_codes_depend_on_its_own_seed(spec: Any) -> None:
    tokenizer, samples = built(spec)
    seeds = torch.tensor([5, 6, 7, 8])

    together = tokenizer(samples, noise=Noise(seeds, "test"))
    alone = tokenizer(samples[2:3], noise=Noise(seeds[2:3], "test"))
    other = tokenizer(samples, noise=Noise(seeds + 4, "test"))

    torch.testing.assert_close(alone.codes[0], together.codes[2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone.rate[0], together.rate[2], atol=1e-5, rtol=1e-5)
    assert (other.codes != together.codes).any(-1)[together.mask].all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_without_noise_codes_are_means_in_training(spec: Any) -> None:
    tokenizer, samples = built(spec)

    encoded = tokenizer.train()(samples)

    assert torch.equal(encoded.codes, encoded.latents)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_continuous_codes_have_no_vocabulary(spec: Any) -> None:
    assert built(spec)[0].vocabulary is None


def test_places_of_a_trace_have_independent_noise() -> None:
    tokenizer, samples = built(SPECS[2])

    encoded = tokenizer(samples, noise=Noise(torch.arange(4), "test"))

    offsets = (encoded.codes - encoded.latents)[encoded.mask]
    assert len(offsets.unique(dim=0)) == len(offsets)


def test_padding_of_traces_does_not_count_in_statistics() -> None:
    torch.manual_seed(0)
    samples = data("trace")
    bottleneck = VQ(codes=8, decay=0.9, patience=1).build()
    tokenizer: Any = SPECS[2].build(bottleneck, samples, 11)

    encoded = tokenizer(samples)
    assert not encoded.mask.all()
    tokenizer.after_step(encoded)

    assert bottleneck.upkeep.mass.sum().item() == pytest.approx(0.1 * int(encoded.mask.sum()))
