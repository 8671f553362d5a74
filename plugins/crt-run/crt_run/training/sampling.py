"""What experiments share once their parts are trained: generating ids, and the evidence that metrics score."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.training.ids import batches
from crtcore.kinds import Dataset, Evidence, Generation, Plan, Prior, Request, Run, Tokenizer
from crtcore.likelihood import CHUNK
from crtcore.noise import Noise
from crtcore.settings import Limits

SHOWN = 40
"""Samples that are kept for the report."""


def generated(
    plan: Plan, run: Run, tokenizer: Tokenizer, prior: Prior, ids: Tensor, class_ids: Tensor | None,
    *, draft: Prior | None = None,
) -> Generation:  # fmt: skip
    """Generates one sample for each row of held-out `ids`, of the same class."""
    decoder = plan.parts["decoder"].build()
    seeds = Noise(plan.seed, "draws").seeds(torch.arange(len(ids))).to(ids.device)
    request = Request(ids[:, :0], Limits(length=tokenizer.length), plan.sampling, class_ids, seeds)
    generation: Generation = decoder.generate(prior, request, draft=draft)
    run.note_backends("decoder", decoder)
    return generation


class Split(NamedTuple):
    """Samples of a split, with their ids and classes."""

    rows: Int[Tensor, " b"]
    ids: Int[Tensor, "b n"]
    class_ids: Int[Tensor, " b"] | None


def evidence(
    plan: Plan, dataset: Dataset, tokenizer: Tokenizer, train: Split, test: Split, *, drawn: Tensor, id_nats: Tensor
) -> Evidence:
    """What metrics score: data, their reconstructions, and the decoded `drawn` ids."""
    image = plan.parts["dataset"].form == "image"
    return Evidence(
        train=taken(dataset, "train", train.rows),
        train_reconstructed=decoded(tokenizer, train.ids, train.class_ids, image=image),
        real=taken(dataset, "test", test.rows),
        reconstructed=decoded(tokenizer, test.ids, test.class_ids, image=image),
        generated=decoded(tokenizer, drawn, test.class_ids, image=image),
        ids=test.ids.cpu(),
        id_nats=id_nats.cpu(),
        vocabulary=tokenizer.vocabulary,
        levels=dataset.levels,
    )


def keep(run: Run, samples: Evidence) -> None:
    """Saves some samples for the report."""
    run.keep({name: getattr(samples, name)[:SHOWN] for name in ("real", "reconstructed", "generated")})


def taken(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Tensor:
    """The data of the samples `rows`."""
    return torch.cat([batch.data for batch in batches(dataset, split, rows)])


def decoded(tokenizer: Tokenizer, ids: Tensor, class_ids: Tensor | None, *, image: bool) -> Tensor:
    """The data that `ids` decode to; images are clamped to -1 to 1."""
    chunks = torch.split(torch.arange(len(ids), device=ids.device), CHUNK)
    data = torch.cat([tokenizer.decode(ids[chosen], _at(class_ids, chosen)) for chosen in chunks]).cpu()
    return data.clamp(-1, 1) if image else data


def _at(class_ids: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if class_ids is None else class_ids[chosen]
