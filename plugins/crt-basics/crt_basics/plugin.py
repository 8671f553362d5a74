"""The components that this package brings."""

from __future__ import annotations

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.datasets.specs import AsSteps, Digits, PythonSource, Shapes
from crt_basics.decoders.specs import Ancestral
from crt_basics.experiments.specs import Compression, Drafting, TwoStage
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.priors.specs import Bigram, Guidance, Saved, Table
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The smallest component of each kind."""
    return [
        Component(
            "fsq",
            spec=FSQ,
            summary="every channel rounded to a few levels",
            examples=(FSQ(levels=(5, 4)), FSQ(levels=(8, 5, 5))),
        ),
        Component(
            "table",
            spec=Table,
            summary="logits for every context, exact and tiny",
            examples=(Table(order=0), Table(order=2)),
        ),
        Component("bigram", spec=Bigram, summary="counts of pairs of neighbouring ids", examples=(Bigram(),)),
        Component(
            "saved",
            spec=Saved,
            summary="the prior that a finished run has trained",
            examples=(Saved(run="smoke"),),
        ),
        Component(
            "guided",
            spec=Guidance,
            summary="classifier-free guidance of another prior",
            examples=(Guidance(scale=2.0, prior=Table(order=1)),),
        ),
        Component("ancestral", spec=Ancestral, summary="one id a call, the reference", examples=(Ancestral(),)),
        Component("digits", spec=Digits, summary="1,797 real 8 by 8 images, ten classes", examples=(Digits(),)),
        Component(
            "shapes",
            spec=Shapes,
            summary="generated colour scenes, shape times colour",
            examples=(Shapes(), Shapes(train=50, validation=20, test=20, size=16, seed=1)),
        ),
        Component(
            "python-source",
            spec=PythonSource,
            summary="bytes of Python's own standard library",
            examples=(PythonSource(), PythonSource(length=64)),
        ),
        Component(
            "as-steps",
            spec=AsSteps,
            summary="another dataset's rows of ids as the steps of traces, without prompt and solution",
            examples=(
                AsSteps(dataset=PythonSource(length=32), samples=200),
                AsSteps(dataset=PythonSource(length=64)),
            ),
        ),
        Component(
            "frechet",
            spec=Frechet,
            summary="Fréchet distance in principal components of the data",
            examples=(Frechet(),),
        ),
        Component(
            "kernel-distance",
            spec=KernelDistance,
            summary="kernel discrepancy in principal components of the data",
            examples=(KernelDistance(),),
        ),
        Component(
            "code-length",
            spec=CodeLength,
            summary="bits for the ids plus bits for the data given the ids",
            examples=(CodeLength(),),
        ),
        Component(
            "two-stage",
            spec=TwoStage,
            summary="a tokenizer, a prior over its ids, generation and scores",
            examples=(TwoStage(),),
        ),
        Component(
            "drafting",
            spec=Drafting,
            summary="a prior over a tokenizer's ids: what they cost to draw, by draft and decoder",
            examples=(Drafting(),),
        ),
        Component(
            "compression",
            spec=Compression,
            summary="a tokenizer alone: rate and distortion",
            examples=(Compression(),),
        ),
    ]
