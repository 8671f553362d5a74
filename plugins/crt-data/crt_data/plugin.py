"""The components of crt-data."""

from __future__ import annotations

from crt_data import specs
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Data sets that are read from files."""
    return [
        Component(
            "photos",
            spec=specs.Photos,
            summary="crops of the photographs inside scikit-image",
            examples=(specs.Photos(), specs.Photos(size=64, step=64)),
        ),
        Component(
            "image-folder",
            spec=specs.ImageFolder,
            summary="images in a folder, with a sub-folder for each class",
            examples=(specs.ImageFolder(folder="data/imagenet", size=32, crops=2),),
        ),
        Component(
            "image-shards",
            spec=specs.ImageShards,
            summary="images in tar shards, in the layout of webdataset",
            examples=(specs.ImageShards(folder="data/imagenet-wds", size=32, workers=2),),
        ),
        Component(
            "image-zip",
            spec=specs.ImageZip,
            summary="images in a zip with a folder for each class",
            examples=(specs.ImageZip(file="data/imagenet.zip", size=32, workers=2),),
        ),
        Component(
            "image-parquet",
            spec=specs.ImageParquet,
            summary="images in Parquet files, in the layout of Hugging Face",
            examples=(specs.ImageParquet(folder="data/imagenet-parquet", size=32, workers=2),),
        ),
        Component(
            "prompts",
            spec=specs.Prompts,
            summary="prompts and references in a file, as ids of a model's tokenizer",
            examples=(specs.Prompts(file="data/wmt18.jsonl", tokenizer="data/Llama-2-7b"),),
        ),
        Component(
            "token-files",
            spec=specs.TokenFiles,
            summary="tokens of text in a folder, in nanoGPT's format",
            examples=(specs.TokenFiles(folder="data/c4", length=64),),
        ),
    ]
