"""What experiments share once their parts are trained: samples in batches, generated, decoded, scored and dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from crt_run.likelihood import CHUNK, scored
from crt_run.training.ids import StoredIds, batches
from crtcore.errors import Stopped
from crtcore.kinds import Batch, Dataset, Evidence, Generation, Plan, Prior, Request, Run, Tokenizer, Train
from crtcore.noise import Noise
from crtcore.settings import Limits

BATCH = CHUNK
"""Samples that are generated at a time; no number depends on it."""
SHOWN = 40
"""Samples that are kept for the report."""


def train_data(
    plan: Plan, dataset: Dataset, tokenizer: Tokenizer, codes: StoredIds, rows: Int[Tensor, " b"], *, held_out: int
) -> Train:
    """What metrics are fitted on: the training samples `rows`, and their reconstructions from the ids `codes`."""
    image = plan.parts["dataset"].form == "image"
    assert tokenizer.vocabulary is not None  # as there are ids
    return Train(
        samples=len(rows),
        data=lambda chosen: taken(dataset, "train", rows[chosen]),
        reconstructed=lambda chosen: decoded(tokenizer, *codes.at(rows[chosen]), image=image),
        held_out=held_out,
        vocabulary=tokenizer.vocabulary,
        levels=dataset.levels,
        shared={},
    )


def generator(
    plan: Plan, run: Run, tokenizer: Tokenizer, prior: Prior, *, draft: Prior | None = None
) -> Callable[[Int[Tensor, " b"], Int[Tensor, " b"] | None], Generation]:
    """Generates a row of ids for each of some held-out samples, by their numbers and class ids.

    The seed of a row depends on its number alone, so that rows are the same in any batch.
    """
    decoder, noise = plan.parts["decoder"].build(), Noise(plan.seed, "draws")

    def generate(numbers: Int[Tensor, " b"], class_ids: Int[Tensor, " b"] | None) -> Generation:
        prompt = torch.empty(len(numbers), 0, dtype=torch.int64, device=run.device)
        seeds = noise.seeds(numbers).to(run.device)
        request = Request(prompt, Limits(length=tokenizer.length), plan.sampling, class_ids, seeds)
        generation: Generation = decoder.generate(prior, request, draft=draft)
        run.note_backends("decoder", decoder)
        return generation

    return generate


class Sampled(NamedTuple):
    """A batch of held-out samples, and the ids that were generated for it."""

    evidence: Evidence
    generation: Generation


def sampled(
    plan: Plan, run: Run, dataset: Dataset, tokenizer: Tokenizer, prior: Prior, rows: Int[Tensor, " b"],
    *, draft: Prior | None = None,
) -> Iterator[Sampled]:  # fmt: skip
    """Generates and decodes a sample for each of the held-out samples `rows`, of the same class, in batches.

    The first samples are kept for the report. A caller that drops a batch frees it.
    Raises: Stopped between two batches.
    """
    image = plan.parts["dataset"].form == "image"
    generate = generator(plan, run, tokenizer, prior, draft=draft)
    first: list[Evidence] = []
    for numbers in torch.split(torch.arange(len(rows)), BATCH):
        if run.stopping():
            raise Stopped
        batch = dataset.take("test", rows[numbers])
        class_ids = None if batch.class_ids is None else batch.class_ids.to(run.device)
        generation = generate(numbers, class_ids)
        generated = decoded(tokenizer, generation.ids, class_ids, image=image)
        evidence = evidence_of(tokenizer, prior, batch, numbers, generated, device=run.device, image=image)
        if numbers[0] < SHOWN:
            first.append(evidence)
            keep(run, first)
        yield Sampled(evidence, generation)


def evidence_of(
    tokenizer: Tokenizer, prior: Prior, batch: Batch, numbers: Int[Tensor, " b"], generated: Shaped[Tensor, "b ..."],
    *, device: torch.device, image: bool,
) -> Evidence:  # fmt: skip
    """What metrics see of a batch of held-out samples with these numbers, and of the samples generated for it."""
    class_ids = None if batch.class_ids is None else batch.class_ids.to(device)
    ids = tokenizer.encode(batch.data.to(device), class_ids)
    return Evidence(
        rows=numbers,
        real=batch.data,
        reconstructed=decoded(tokenizer, ids, class_ids, image=image),
        generated=generated,
        ids=ids.cpu(),
        id_nats=scored(prior, ids, class_ids).cpu(),
    )


def keep(run: Run, first: Sequence[Evidence]) -> None:
    """Saves the first samples for the report."""
    names = ("real", "reconstructed", "generated")
    run.keep({name: torch.cat([getattr(batch, name) for batch in first])[:SHOWN] for name in names})


def taken(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Shaped[Tensor, "b ..."]:
    """The data of the samples `rows`."""
    return torch.cat([batch.data for batch in batches(dataset, split, rows)])


def decoded(
    tokenizer: Tokenizer, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, *, image: bool
) -> Shaped[Tensor, "b ..."]:
    """The data that `ids` decode to; images are clamped to -1 to 1."""
    chunks = torch.split(torch.arange(len(ids), device=ids.device), CHUNK)
    data = torch.cat([tokenizer.decode(ids[chosen], _at(class_ids, chosen)) for chosen in chunks]).cpu()
    return data.clamp(-1, 1) if image else data


def _at(class_ids: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if class_ids is None else class_ids[chosen]
