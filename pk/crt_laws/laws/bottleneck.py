"""The laws of bottlenecks: a rate that covers the information, codes that ids name, a straight-through gradient.

Axes: b batch, n features of a sample, w feature width, k codes of a sample, d code width.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from crt_laws.checks import ROOM, check, equal, near, same
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import bottleneck_ends
from crt_laws.laws import bottleneck_offenders as plants
from crt_laws.laws.bottleneck_cases import BATCHES, CONTINUOUS, CROWDS, DISCRETE, GROUPS, SEEDS, Batch, ids_of
from crt_laws.laws.bottleneck_decoder import classify, entropy, labels, shortfall
from crt_laws.laws.passes import buffers, in_training, unchanged
from crtcore.kinds.bottleneck import Bottleneck, BottleneckSpec, DiscreteBottleneck
from crtcore.noise import Noise


def subject(spec: BottleneckSpec) -> Bottleneck:
    """The bottleneck in float64, with first values from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bottleneck = spec.build()
    if isinstance(bottleneck, nn.Module):
        bottleneck.double()
    return bottleneck


@law("bottleneck", batch=BATCHES)
def rate_and_loss_are_finite(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """The rate is finite and never negative, and the loss is finite."""
    output = bottleneck(batch.features(bottleneck), noise=batch.noise())

    yield check(output.rate.isfinite(), f"rates {output.rate.tolist()}")
    yield check(output.rate >= 0, f"rates {output.rate.tolist()}")
    yield check(output.loss.isfinite(), f"loss {output.loss.item()}")


@law("bottleneck", where=DISCRETE, crowd=CROWDS)
def rate_covers_the_entropy(bottleneck: Bottleneck, crowd: Batch) -> Checks:
    """The mean rate is at least the entropy of the ids of 512 samples."""
    output = bottleneck(crowd.features(bottleneck).requires_grad_())

    rate, least = output.rate.mean().item(), entropy(ids_of(output))

    yield check(rate >= least - 1e-6, f"a mean rate of {rate} nats for an entropy of {least}")


@law("bottleneck", where=CONTINUOUS, group=GROUPS)
def rate_covers_the_mutual_information(bottleneck: Bottleneck, group: Batch) -> Checks:
    """The mean rate is at least the information that a decoder of continuous codes extracts about 64 samples.

    That is ln 64 less the cross-entropy of samples given codes, under a decoder that was fitted on other draws. Over
    2,048 draws the rate may be less by six standard errors: the false-alarm rate is 1e-9.
    """
    rate, likelihood = classify(bottleneck, group.features(bottleneck), group.seed)
    own = likelihood.diagonal(dim1=0, dim2=2).mT  # b t

    missing = shortfall(rate - own, math.log(group.samples))

    yield check(missing <= 0, f"a mean rate {missing} nats below the information, beyond chance")


@law("bottleneck", where=DISCRETE, crowd=CROWDS, seed=SEEDS)
def distortion_and_rate_cover_the_labels(bottleneck: Bottleneck, crowd: Batch, seed: int) -> Checks:
    """D + R >= H(Y), exactly, for labels Y that the features determine.

    D is the entropy of labels given ids, which no decoder beats. All three are those of the samples at hand.
    """
    features = crowd.features(bottleneck).requires_grad_()
    output = bottleneck(features)
    ids, classes = ids_of(output), labels(features, seed)

    total = entropy(ids, classes) - entropy(ids) + output.rate.mean().item()

    yield check(total >= entropy(classes) - 1e-6, f"D + R = {total} nats for H(Y) = {entropy(classes)}")


@law("bottleneck", where=CONTINUOUS, group=GROUPS, seed=SEEDS)
def noisy_distortion_and_rate_cover_the_labels(bottleneck: Bottleneck, group: Batch, seed: int) -> Checks:
    """D + R >= H(Y), up to chance, for labels Y that the features determine.

    H(Y) is that of the 64 samples at hand, D the cross-entropy of a decoder that was fitted on other draws. Over 2,048
    draws the sum may be less by six standard errors: the false-alarm rate is 1e-9.
    """
    features = group.features(bottleneck)
    rate, likelihood = classify(bottleneck, features, group.seed)
    classes = labels(features, seed)
    alike = (classes[:, None] == classes).unsqueeze(1)  # b 1 b
    own = likelihood.masked_fill(~alike, -math.inf).logsumexp(-1)  # b t

    missing = shortfall(rate - own, entropy(classes))

    yield check(missing <= 0, f"D + R {missing} nats below H(Y), beyond chance")


@law("bottleneck", batch=BATCHES)
def ids_come_with_a_vocabulary(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """There are ids if and only if there is a vocabulary."""
    ids, vocabulary = bottleneck(batch.features(bottleneck)).ids, bottleneck.vocabulary

    some = "no ids" if ids is None else "ids"
    yield check((ids is None) == (vocabulary is None), f"{some} with a vocabulary of {vocabulary}")


@law("bottleneck", where=DISCRETE, batch=BATCHES)
def ids_are_in_range(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """Ids are at least 0 and less than the vocabulary."""
    ids = ids_of(bottleneck(batch.features(bottleneck)))

    observed = f"ids from {ids.min()} to {ids.max()} with a vocabulary of {bottleneck.vocabulary}"
    yield check((ids >= 0) & (ids < (bottleneck.vocabulary or 0)), observed)


@law("bottleneck", where=DISCRETE, batch=BATCHES)
def lookup_gives_the_codes(bottleneck: DiscreteBottleneck, batch: Batch) -> Checks:
    """The lookup of the ids returns the codes."""
    output = bottleneck(batch.features(bottleneck))

    yield near(bottleneck.lookup(ids_of(output)), output.codes, "codes by lookup and by call")


@law("bottleneck", where=DISCRETE, batch=BATCHES, seed=SEEDS)
def no_other_code_is_nearer(bottleneck: DiscreteBottleneck, batch: Batch, seed: int) -> Checks:
    """The code of each position is the nearest of all codes to its latent."""
    output = bottleneck(batch.features(bottleneck))
    shape, generator = ids_of(output).shape, torch.Generator().manual_seed(seed)

    others = bottleneck.lookup(torch.randint(bottleneck.vocabulary, shape, generator=generator))

    chosen, other = ((codes - output.latents).norm(dim=-1) for codes in (output.codes, others))
    yield check(chosen <= other + ROOM, f"another code nearer by {(chosen - other).max().item()}")


@law("bottleneck", where=DISCRETE, batch=BATCHES, seed=SEEDS)
def the_gradient_passes_straight_through(bottleneck: Bottleneck, batch: Batch, seed: int) -> Checks:
    """Features get the gradient of the codes as if the codes were the latents."""
    features = batch.features(bottleneck).requires_grad_()
    output = bottleneck(features)
    generator = torch.Generator().manual_seed(seed)
    upstream = torch.randn(output.codes.shape, generator=generator, dtype=torch.float64)

    (through,) = torch.autograd.grad(output.codes, features, upstream, retain_graph=True)
    (straight,) = torch.autograd.grad(output.latents, features, upstream)

    yield near(through, straight, "gradients at the features by codes and by latents")


@law("bottleneck", batch=BATCHES)
def neighbours_do_not_matter(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """A sample has the same codes, ids and rate in any batch and at any place, given noise of its own."""
    features = batch.features(bottleneck)
    noise = batch.noise()
    together = bottleneck(features, noise=noise)

    for row in range(len(features)):
        here = slice(row, row + 1)
        alone = bottleneck(features[here], noise=Noise(noise.seed[here], noise.stream))
        yield near(alone.codes[0], together.codes[row], "codes alone and in a batch")
        yield near(alone.rate[0], together.rate[row], "rates alone and in a batch")
        if alone.ids is not None and together.ids is not None:
            yield same(alone.ids[0], together.ids[row], "ids alone and in a batch")


@law("bottleneck", batch=BATCHES)
def without_noise_nothing_is_random(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """Without noise, two calls give the same output bit for bit, in training too."""
    features = batch.features(bottleneck).requires_grad_()

    with in_training(bottleneck):
        first, again = bottleneck(features), bottleneck(features)

    for name in ("codes", "rate", "loss"):
        yield same(getattr(again, name), getattr(first, name), f"{name} of two calls")


@law("bottleneck", batch=BATCHES)
def a_pass_changes_no_state(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """Forward and backward passes in training change no buffer: only `after_step` may."""
    before = buffers(bottleneck)

    with in_training(bottleneck):
        output = bottleneck(batch.features(bottleneck).requires_grad_(), noise=batch.noise())

    yield from unchanged(bottleneck, before, output.codes.sum() + output.rate.sum() + output.loss)


@law("bottleneck", batch=BATCHES)
def shapes_and_types_agree(bottleneck: Bottleneck, batch: Batch) -> Checks:
    """Codes, latents and rate are as precise as the features, and every shape is that of the contract."""
    features = batch.features(bottleneck)
    output = bottleneck(features)

    for name in ("codes", "latents", "rate"):
        yield equal(getattr(output, name).dtype, features.dtype, f"the type of {name}")
    yield equal(output.codes.shape, output.latents.shape, "the shape of codes")
    yield equal(output.rate.shape, (len(features),), "the shape of the rate")
    yield equal(output.loss.shape, (), "the shape of the loss")
    if output.ids is not None:
        yield equal(output.ids.shape, output.codes.shape[:2], "the shape of ids")
        yield equal(output.ids.dtype, torch.int64, "the type of ids")
        assert isinstance(bottleneck, DiscreteBottleneck)
        yield equal(bottleneck.lookup(output.ids).dtype, features.dtype, "the type of codes by lookup")


LAWS = (*laws_in(globals()), *bottleneck_ends.LAWS)

_OUTSIDE = frozenset({bottleneck_ends.ids_outside_the_vocabulary_are_refused.name})
_REACHED = frozenset({bottleneck_ends.every_code_is_reached.name})

OFFENDERS = (
    Offender(rate_and_loss_are_finite, plants.after(lambda s: s._replace(rate=s.rate + torch.inf))),
    Offender(rate_covers_the_entropy, plants.after(lambda s: s._replace(rate=0.7 * s.rate))),
    Offender(rate_covers_the_mutual_information, plants.leaking(share=1.0)),
    Offender(
        distortion_and_rate_cover_the_labels,
        plants.after(lambda s: s._replace(rate=s.rate / 4)),
        also=frozenset({rate_covers_the_entropy.name}),
    ),
    Offender(
        noisy_distortion_and_rate_cover_the_labels,
        plants.leaking(share=0.25),
        also=frozenset({rate_covers_the_mutual_information.name}),
    ),
    Offender(ids_come_with_a_vocabulary, plants.unnamed),
    Offender(ids_are_in_range, plants.altered(vocabulary=1), also=_OUTSIDE),
    Offender(
        lookup_gives_the_codes,
        plants.altered(look=lambda inner, ids: inner.lookup(inner.vocabulary - 1 - ids)),
        also=_REACHED,
    ),
    Offender(no_other_code_is_nearer, plants.altered(squeeze=plants.opposite), also=_REACHED),
    Offender(
        the_gradient_passes_straight_through, plants.after(lambda s: s._replace(codes=2 * s.codes - s.codes.detach()))
    ),
    Offender(
        neighbours_do_not_matter,
        plants.altered(squeeze=lambda inner, features: inner(features - features.mean(0))),
        also=_REACHED,
    ),
    Offender(neighbours_do_not_matter, plants.placed),
    Offender(without_noise_nothing_is_random, plants.restless),
    Offender(a_pass_changes_no_state, plants.Counting),
    Offender(shapes_and_types_agree, plants.after(lambda s: s._replace(rate=s.rate.unsqueeze(1)))),
    *bottleneck_ends.OFFENDERS,
)

BENCH = Bench("bottleneck", subject, LAWS, OFFENDERS)
