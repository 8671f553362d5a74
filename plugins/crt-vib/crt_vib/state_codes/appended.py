"""Training the embedding of the appended token.

Axes: b windows, m places of a window, w width, v vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from crt_run.training.ids import spread
from crt_run.training.losses import Loss
from crt_run.training.objective import Inputs, Objective
from crt_run.training.order import batch_at
from crt_run.training.trainer import Part
from crt_vib.state_codes.places import answers_at, places_of
from crt_vib.state_codes.trunk import at_appended, checked
from crtcore.noise import Noise

VALIDATED = 16
"""The most held-out windows on which the embedding is scored while it trains."""


class Appended(nn.Module):
    """The embedding of a token that is in no vocabulary; it starts as the mean of all embeddings."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.vector = nn.Parameter(embedding.weight.detach().float().mean(0).clone())


def appended_objective(inputs: Inputs) -> Objective:
    """The mean nats of answers by the model's own output layer, at tokens appended to the windows; it reads no seed."""
    plan, dataset = inputs.plan, inputs.dataset
    places, distance, training = places_of(plan), plan["experiment.distance"], plan["training.appended"]
    rows = {split: plan[f"experiment.{split}"] for split in ("train", "validation")}
    prior = in_float32(_prior(inputs), inputs)
    known = spread(dataset.sizes["train"], rows["train"])
    held = spread(dataset.sizes["validation"], min(rows["validation"], VALIDATED))
    length = dataset.take("validation", held[:1]).data.shape[1]
    where = places.of(length)
    appended = inputs.placed(Appended(prior.embedding))
    order = Noise(0, "order of the appended token's windows")

    def nats(split: str, chosen: Tensor) -> Tensor:
        ids = dataset.take(split, chosen).data.to(inputs.device)
        read = ids[:, : int(where[-1]) + 1]  # later ones change nothing at the places, as the model is causal
        states, _ = at_appended(prior, read, where.to(inputs.device), appended.vector)
        logits = prior.logits(states).float().flatten(0, 1)
        return nn.functional.cross_entropy(logits, answers_at(ids, where, distance).flatten())

    def loss(step: int, progress: float) -> Loss:
        return Loss(nats("train", known[batch_at(order, len(known), training.batch, step)]), {})

    def validate() -> float:
        with torch.no_grad():
            return float(nats("validation", held))

    return Objective(
        {"appended": Part(appended, training.optimizer)}, loss, len(where), validate, training.steps // 10 or 1,
        units={"validation": "nats an answer"},
    )  # fmt: skip


def in_float32(prior: Any, inputs: Inputs) -> Any:
    """The model, or its like in float32 where it is in bfloat16 on a processor.

    Memory: the model in float32, beside itself.
    Cost: one core without AVX-512 takes 24 s for the gradient of 96 tokens of 135 million bfloat16 weights, as torch's
    product with a matrix that is not transposed is slow there, and 1 s in float32.
    """
    if inputs.run is None or inputs.device.type != "cpu" or prior.embedding.weight.dtype != torch.bfloat16:
        return prior
    length = inputs.dataset.take("train", torch.arange(1)).data.shape[1]
    like = inputs.plan["prior"].build(inputs.dataset.vocabulary, length, None)
    like.load_state_dict(prior.state_dict())
    return like.float().requires_grad_(False).eval()


def _prior(inputs: Inputs) -> Any:
    """The model; where costs are counted and no stage trains it, a new one."""
    if inputs.run is not None or inputs.stage.after:
        return checked(inputs.result("prior"), (1,))
    length = inputs.dataset.take("train", torch.arange(1)).data.shape[1]
    return inputs.plan["prior"].build(inputs.dataset.vocabulary, length, None)
