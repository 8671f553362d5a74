"""The components the core brings itself."""

from __future__ import annotations

from crt_scaling.spec import Scaling
from crtcore.builtin import specs
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The smallest component of each kind."""
    return [
        Component(
            "fsq",
            spec=specs.FSQ,
            summary="every channel rounded to a few levels",
            examples=(specs.FSQ(levels=(5, 4)), specs.FSQ(levels=(8, 5, 5))),
        ),
        Component(
            "table",
            spec=specs.Table,
            summary="logits for every context, exact and tiny",
            examples=(specs.Table(order=0), specs.Table(order=2)),
        ),
        Component(
            "saved",
            spec=specs.Saved,
            summary="another prior, with weights that a finished stage left",
            examples=(specs.Saved(folder="runs/stages/prior/0123456789ab/final", prior=specs.Table(order=1)),),
        ),
        Component(
            "guided",
            spec=specs.Guidance,
            summary="another prior, drawn away from what it says of no class",
            examples=(
                specs.Guidance(
                    scale=2.0,
                    prior=specs.Saved(folder="runs/stages/prior/0123456789ab/final", prior=specs.Table(order=1)),
                ),
            ),
        ),
        Component(
            "ancestral", spec=specs.Ancestral, summary="one id a call, the reference", examples=(specs.Ancestral(),)
        ),
        Component(
            "digits", spec=specs.Digits, summary="1,797 real 8 by 8 images, ten classes", examples=(specs.Digits(),)
        ),
        Component(
            "photos",
            spec=specs.Photos,
            summary="crops of the photographs inside scikit-image",
            examples=(specs.Photos(), specs.Photos(size=64, step=64)),
        ),
        Component(
            "shapes",
            spec=specs.Shapes,
            summary="generated colour scenes, shape times colour",
            examples=(specs.Shapes(), specs.Shapes(train=50, validation=20, test=20, size=16, seed=1)),
        ),
        Component(
            "image-folder",
            spec=specs.ImageFolder,
            summary="images in a folder of yours, a sub-folder for each class",
            examples=(specs.ImageFolder(folder="data/imagenet", size=32, crops=2),),
        ),
        Component(
            "python-source",
            spec=specs.PythonSource,
            summary="bytes of Python's own standard library",
            examples=(specs.PythonSource(), specs.PythonSource(length=64)),
        ),
        Component(
            "token-files",
            spec=specs.TokenFiles,
            summary="tokens of text in a folder of yours, as NanoGPT keeps them",
            examples=(specs.TokenFiles(folder="data/c4", length=64),),
        ),
        Component(
            "with-metas",
            spec=specs.WithMetas,
            summary="another dataset of ids, with meta-tokens at random places",
            examples=(
                specs.WithMetas(dataset=specs.PythonSource(length=64)),
                specs.WithMetas(dataset=specs.PythonSource(length=64), share=0.25, counted="whole", seed=1),
            ),
        ),
        Component(
            "frechet",
            spec=specs.Frechet,
            summary="Fréchet distance in principal components of the data",
            examples=(specs.Frechet(),),
        ),
        Component(
            "kernel-distance",
            spec=specs.KernelDistance,
            summary="kernel discrepancy in principal components of the data",
            examples=(specs.KernelDistance(),),
        ),
        Component(
            "code-length",
            spec=specs.CodeLength,
            summary="bits for the ids plus bits for the data given the ids",
            examples=(specs.CodeLength(),),
        ),
        Component(
            "two-stage",
            spec=specs.TwoStage,
            summary="tokenizer, then prior, then draws, both stages scored",
            examples=(specs.TwoStage(),),
        ),
        Component(
            "compression",
            spec=specs.Compression,
            summary="a tokenizer alone: what its codes cost and what they leave out",
            examples=(specs.Compression(),),
        ),
        Component(
            "scaling",
            spec=Scaling,
            summary="what regularising a tokenizer saves in the compute of stage 2",
            examples=(Scaling(), Scaling(shorter=(100, 300))),
        ),
        Component("local", spec=specs.Local, summary="processes on this machine", examples=(specs.Local(),)),
    ]
