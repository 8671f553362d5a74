"""The components of crt-vib."""

from __future__ import annotations

from crt_vib.gaussian.spec import Gaussian
from crt_vib.lists.spec import Lists
from crt_vib.meta.spec import MetaTransformer
from crt_vib.mixture.spec import Mixture
from crt_vib.rate.spec import Rate, RateSquared, RateTarget
from crt_vib.rate_distortion.spec import RateDistortion
from crt_vib.state_codes.spec import StateCodes
from crt_vib.with_metas.spec import WithMetas
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Variational bottlenecks, language models with meta-tokens, their data, and the rate-distortion study."""
    return [
        Component(
            "meta-transformer",
            spec=MetaTransformer,
            summary="decoder with a second attention among meta-tokens",
            examples=(MetaTransformer(layers=2, width=16, heads=2),),
        ),
        Component(
            "gaussian",
            spec=Gaussian,
            summary="a Gaussian code of learned mean and scale, whose rate is its divergence from a prior",
            examples=(
                Gaussian(width=6, latent=4),
                Gaussian(width=6, latent=4, hidden=8, components=1, free_bits=0.1),
                Gaussian(width=6, latent=4, components=3),
            ),
            departs={
                "rate-and-loss-are-finite": "under several components the rate of one sample is an estimate, "
                "which can be less than 0; its mean cannot"
            },
        ),
        Component(
            "mixture",
            spec=Mixture,
            summary="a code drawn from one of several Gaussians, which depends on the feature",
            examples=(
                Mixture(width=6, latent=3, parts=4),
                Mixture(width=6, latent=2, hidden=8, parts=3),
            ),
            departs={"rate-and-loss-are-finite": "the rate of one sample is an estimate, which can be less than 0"},
        ),
        Component("rate", spec=Rate, summary="the mean rate, times beta", examples=(Rate(weight=0.1),)),
        Component(
            "rate-squared",
            spec=RateSquared,
            summary="the square of the mean rate, for targets that the data determine",
            examples=(RateSquared(weight=0.1),),
        ),
        Component(
            "rate-target",
            spec=RateTarget,
            summary="absolute difference of the mean rate and a target",
            examples=(RateTarget(target=2.0),),
        ),
        Component(
            "lists",
            spec=Lists,
            summary="named lists and an item that is asked for",
            examples=(Lists(), Lists(lists=2, items=3, symbols=4, noise=0.2, meta="mixed", train=600)),
        ),
        Component(
            "rate-distortion",
            spec=RateDistortion,
            summary="how well a hidden state predicts an answer at each rate",
            examples=(RateDistortion(weights=(0.4, 0.6)),),
        ),
        Component(
            "state-codes",
            spec=StateCodes,
            summary="what codes of a pretrained model's states hold about ids ahead, by layer and place",
            examples=(StateCodes(weights=(0.4, 0.6), layers=(1, 2), layer=2, first=2, stride=1, reach=1, recent=2),),
            departs={
                "it-trains-the-stages-that-it-plans": "states and best codes are kept as stages in which nothing trains"
            },
        ),
        Component(
            "with-metas",
            spec=WithMetas,
            summary="another dataset of ids, with meta-tokens at random places",
            examples=(
                WithMetas(dataset=Lists(train=600, validation=200, test=200)),
                WithMetas(dataset=Lists(train=600, validation=200, test=200), share=0.25, counted="whole", seed=1),
            ),
        ),
    ]
