"""The laws of bottlenecks: an honest rate, codes that ids name, and a gradient that passes.

Axes: b batch, n features of a sample, w feature width, k codes of a sample, d code width.
"""

from __future__ import annotations

import math

import attrs
import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from crt_laws.compare import ROOM, assert_near
from crt_laws.kit import Bench, Offender, law, laws_in
from crt_laws.laws import bottleneck_offenders as plants
from crt_laws.laws.bottleneck_decoder import entropy, labels, shortfall, told
from crtcore.kinds.bottleneck import Bottleneck, BottleneckSpec
from crtcore.noise import Noise


@attrs.frozen
class Batch:
    """Normal features, drawn by a seed."""

    seed: int
    samples: int
    places: int
    scale: float

    def features(self, bottleneck: Bottleneck) -> Float[Tensor, "b n w"]:
        """The features, as wide as the bottleneck takes them."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = self.samples, self.places, bottleneck.width
        return self.scale * torch.randn(shape, generator=generator, dtype=torch.float64)


SEEDS = st.integers(0, 2**32)
SCALES = st.sampled_from((0.3, 1.0, 3.0))
BATCHES = st.builds(Batch, SEEDS, st.integers(1, 5), st.integers(1, 4), SCALES)
CROWDS = st.builds(Batch, SEEDS, st.just(512), st.just(1), SCALES)
"""Many samples of one feature each, so that their entropy comes near the rate."""
GROUPS = st.builds(Batch, SEEDS, st.just(64), st.integers(1, 2), st.sampled_from((3.0, 10.0, 30.0)))
"""Samples that noisy codes may tell apart: far from one another, as first weights can be small."""


def subject(spec: BottleneckSpec) -> Bottleneck:
    """The bottleneck in float64, with first values from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bottleneck = spec.build()
    if isinstance(bottleneck, nn.Module):
        bottleneck.double()
    return bottleneck


@law("bottleneck", batch=BATCHES)
def rate_and_loss_are_finite(bottleneck: Bottleneck, batch: Batch) -> None:
    """The rate is finite and never negative, the loss is finite."""
    squeezed = bottleneck(batch.features(bottleneck))

    assert squeezed.rate.isfinite().all()
    assert (squeezed.rate >= 0).all()
    assert squeezed.loss.isfinite()


@law("bottleneck", crowd=CROWDS)
def rate_covers_the_information(bottleneck: Bottleneck, crowd: Batch) -> None:
    """The mean rate is at least the entropy of the ids met, for every bottleneck whose codes are discrete."""
    squeezed = bottleneck(crowd.features(bottleneck).requires_grad_())

    if squeezed.ids is not None:
        assert entropy(squeezed.ids) <= squeezed.rate.mean() + 1e-6


@law("bottleneck", group=GROUPS)
def rate_covers_what_noisy_codes_tell(bottleneck: Bottleneck, group: Batch) -> None:
    """The mean rate is at least what a decoder tells of 64 samples by their codes, wherever codes are continuous.

    That is ln 64 less the cross-entropy of samples given codes under a decoder that was fitted on other draws: over
    2,048 draws the rate may be less by six standard errors, which chance allows once in 1e9.
    """
    if bottleneck.vocabulary is None:
        rate, likelihood = told(bottleneck, group.features(bottleneck), group.seed)
        own = likelihood.diagonal(dim1=0, dim2=2).mT  # b t

        assert shortfall(rate - own, math.log(group.samples)) <= 0


@law("bottleneck", crowd=CROWDS, seed=SEEDS)
def distortion_and_rate_cover_the_labels(bottleneck: Bottleneck, crowd: Batch, seed: int) -> None:
    """D + R >= H(Y) for labels Y that features determine, exactly, wherever codes are discrete.

    D is the entropy of labels given ids, which no decoder beats; all three are those of the samples at hand.
    """
    features = crowd.features(bottleneck).requires_grad_()
    squeezed = bottleneck(features)

    if squeezed.ids is not None:
        classes = labels(features, seed)
        distortion = entropy(squeezed.ids, classes) - entropy(squeezed.ids)
        assert distortion + squeezed.rate.mean() >= entropy(classes) - 1e-6


@law("bottleneck", group=GROUPS, seed=SEEDS)
def noisy_distortion_and_rate_cover_the_labels(bottleneck: Bottleneck, group: Batch, seed: int) -> None:
    """D + R >= H(Y) for labels Y that features determine, but for chance, wherever codes are continuous.

    H(Y) is that of the 64 samples at hand, D the cross-entropy of a decoder that was fitted on other draws: over 2,048
    draws the sum may be less by six standard errors, which chance allows once in 1e9.
    """
    if bottleneck.vocabulary is None:
        features = group.features(bottleneck)
        rate, likelihood = told(bottleneck, features, group.seed)
        classes = labels(features, seed)
        same = (classes[:, None] == classes).unsqueeze(1)  # b 1 b
        own = likelihood.masked_fill(~same, -math.inf).logsumexp(-1)  # b t

        assert shortfall(rate - own, entropy(classes)) <= 0


@law("bottleneck", batch=BATCHES)
def ids_are_in_range(bottleneck: Bottleneck, batch: Batch) -> None:
    """Ids run from 0 up to the vocabulary; there are none if and only if the vocabulary is None."""
    ids = bottleneck(batch.features(bottleneck)).ids

    assert (ids is None) == (bottleneck.vocabulary is None)
    if ids is not None and bottleneck.vocabulary is not None:
        assert ids.min() >= 0
        assert ids.max() < bottleneck.vocabulary


@law("bottleneck", batch=BATCHES)
def lookup_gives_the_codes(bottleneck: Bottleneck, batch: Batch) -> None:
    """Looking the ids up gives the codes, for every bottleneck whose codes are discrete."""
    squeezed = bottleneck(batch.features(bottleneck))

    if squeezed.ids is not None:
        assert_near(bottleneck.lookup(squeezed.ids), squeezed.codes)


@law("bottleneck", batch=BATCHES, seed=SEEDS)
def no_other_code_is_nearer(bottleneck: Bottleneck, batch: Batch, seed: int) -> None:
    """Of all codes, the one let through is nearest to the compared features, wherever codes are discrete."""
    squeezed = bottleneck(batch.features(bottleneck))

    if squeezed.ids is not None and bottleneck.vocabulary is not None:
        generator = torch.Generator().manual_seed(seed)
        others = bottleneck.lookup(torch.randint(bottleneck.vocabulary, squeezed.ids.shape, generator=generator))
        near, far = ((codes - squeezed.compared).norm(dim=-1) for codes in (squeezed.codes, others))
        assert (near <= far + ROOM).all()


@law("bottleneck", batch=BATCHES, seed=SEEDS)
def the_gradient_passes_straight_through(bottleneck: Bottleneck, batch: Batch, seed: int) -> None:
    """Features get the gradient that codes get, as if codes were the compared features, wherever codes are discrete."""
    features = batch.features(bottleneck).requires_grad_()
    squeezed = bottleneck(features)

    if squeezed.ids is not None:
        generator = torch.Generator().manual_seed(seed)
        wanted = torch.randn(squeezed.codes.shape, generator=generator, dtype=torch.float64)
        (through,) = torch.autograd.grad(squeezed.codes, features, wanted, retain_graph=True)
        (straight,) = torch.autograd.grad(squeezed.compared, features, wanted)
        assert_near(through, straight)


@law("bottleneck", batch=BATCHES)
def neighbours_do_not_matter(bottleneck: Bottleneck, batch: Batch) -> None:
    """A sample has the same codes, ids and rate in any batch, under the noise of its own."""
    features = batch.features(bottleneck)
    seeds = Noise(batch.seed, "samples").seeds(torch.arange(batch.samples))
    together = bottleneck(features, Noise(seeds, "codes"))

    for row in range(len(features)):
        here = slice(row, row + 1)
        alone = bottleneck(features[here], Noise(seeds[here], "codes"))
        assert_near(alone.codes[0], together.codes[row])
        assert_near(alone.rate[0], together.rate[row])
        if alone.ids is not None and together.ids is not None:
            assert torch.equal(alone.ids[0], together.ids[row])


@law("bottleneck", batch=BATCHES)
def shapes_and_types_agree(bottleneck: Bottleneck, batch: Batch) -> None:
    """Codes, compared features and rate are as precise as the features, and every shape is as the kind says."""
    features = batch.features(bottleneck)
    squeezed = bottleneck(features)

    assert squeezed.codes.dtype == squeezed.compared.dtype == squeezed.rate.dtype == features.dtype
    assert squeezed.codes.shape == squeezed.compared.shape
    assert squeezed.rate.shape == (len(features),)
    assert squeezed.loss.shape == ()
    if squeezed.ids is not None:
        assert squeezed.ids.shape == squeezed.codes.shape[:2]
        assert squeezed.ids.dtype == torch.int64
        assert bottleneck.lookup(squeezed.ids).dtype == features.dtype


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(rate_and_loss_are_finite, plants.after(lambda s: s._replace(rate=s.rate + torch.inf))),
    Offender(rate_covers_the_information, plants.after(lambda s: s._replace(rate=0.7 * s.rate))),
    Offender(rate_covers_what_noisy_codes_tell, plants.leaking(share=1.0)),
    Offender(
        distortion_and_rate_cover_the_labels,
        plants.after(lambda s: s._replace(rate=s.rate / 4)),
        also=frozenset({rate_covers_the_information.name}),
    ),
    Offender(
        noisy_distortion_and_rate_cover_the_labels,
        plants.leaking(share=0.25),
        also=frozenset({rate_covers_what_noisy_codes_tell.name}),
    ),
    Offender(ids_are_in_range, plants.altered(vocabulary=1)),
    Offender(
        lookup_gives_the_codes,
        plants.altered(look=lambda inner, ids: inner.lookup((ids + 1) % (inner.vocabulary or 1))),
    ),
    Offender(no_other_code_is_nearer, plants.altered(squeeze=plants.opposite)),
    Offender(
        the_gradient_passes_straight_through, plants.after(lambda s: s._replace(codes=2 * s.codes - s.codes.detach()))
    ),
    Offender(
        neighbours_do_not_matter, plants.altered(squeeze=lambda inner, features: inner(features - features.mean(0)))
    ),
    Offender(shapes_and_types_agree, plants.after(lambda s: s._replace(rate=s.rate.unsqueeze(1)))),
)

BENCH = Bench("bottleneck", subject, LAWS, OFFENDERS)
