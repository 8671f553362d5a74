"""The laws of bottlenecks at their ends: what they refuse, and that they reach every code; and offenders."""

from __future__ import annotations

import math
from functools import partial

import torch
from hypothesis import strategies as st

from crt_laws.checks import refused, same
from crt_laws.kit import Checks, Offender, law, laws_in
from crt_laws.laws import bottleneck_offenders as plants
from crt_laws.laws.bottleneck_cases import BATCHES, DISCRETE, ONE_CODE, SEEDS, Batch, ids_of
from crtcore.kinds.bottleneck import Bottleneck, DiscreteBottleneck


@law("bottleneck", batch=BATCHES, wrong=st.sampled_from((math.nan, math.inf, -math.inf)))
def features_that_are_not_finite_are_refused(bottleneck: Bottleneck, batch: Batch, wrong: float) -> Checks:
    """A feature that is NaN or infinite raises an error."""
    features = batch.features(bottleneck)
    features[-1, batch.seed % batch.places, batch.seed % bottleneck.width] = wrong

    yield refused(lambda: bottleneck(features, noise=batch.noise()), f"a feature that is {wrong}")


@law("bottleneck", where=DISCRETE, batch=BATCHES, seed=SEEDS)
def ids_outside_the_vocabulary_are_refused(bottleneck: DiscreteBottleneck, batch: Batch, seed: int) -> Checks:
    """The lookup of an id under 0, or not under the vocabulary, raises an error."""
    ids = ids_of(bottleneck(batch.features(bottleneck)))

    for wrong in (-1, bottleneck.vocabulary):
        changed = ids.clone()
        changed[-1, seed % ids.shape[1]] = wrong
        yield refused(partial(bottleneck.lookup, changed), f"the lookup of {wrong}")


@law("bottleneck", where=ONE_CODE, seed=SEEDS)
def every_code_is_reached(bottleneck: DiscreteBottleneck, seed: int) -> Checks:
    """There are features for every code: of 30 ids and the last, each is that of features moved toward its code."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(bottleneck.vocabulary, (1, 31), generator=generator)
    ids[0, -1] = bottleneck.vocabulary - 1
    codes = bottleneck.lookup(ids).detach()
    features = codes.clone()
    for _ in range(100):
        output = bottleneck(features)
        if torch.equal(ids_of(output), ids):
            break
        features = features + codes - output.latents.detach()

    yield same(ids_of(bottleneck(features)), ids, "the ids of features and of the codes that they are moved to")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        features_that_are_not_finite_are_refused,
        plants.altered(squeeze=lambda inner, features: inner(features.nan_to_num(0, 0, 0))),
    ),
    Offender(
        ids_outside_the_vocabulary_are_refused,
        plants.altered(look=lambda inner, ids: inner.lookup(ids.clamp(0, inner.vocabulary - 1))),
    ),
    Offender(every_code_is_reached, plants.idle),
)
