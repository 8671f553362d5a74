"""Training of the prior of the study of latent reasoning: the form of its rows, their codes, and its loss.

Axes: b batch, n ids of a row, z codes of the steps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking
from crt_latent.mixing.replacement import Occasion
from crt_latent.reasoning.codes import fixed, hashed, ids_hashed, learned, prompt_hashed, shuffled
from crt_latent.reasoning.forms import Form
from crt_latent.reasoning.spec import has_learned_codes
from crt_latent.text_chunks.tokenizer import code_shape
from crt_latent.traces import Trace, loss_weights, split_trace
from crt_nn.ranks import portion, rows_of
from crt_run.likelihood import nats
from crt_run.training.ids import spread
from crt_run.training.losses import Loss
from crt_run.training.objective import Inputs, Objective
from crt_run.training.order import batch_at, seeded, step_noise
from crt_run.training.trainer import Part
from crtcore import Noise
from crtcore.errors import RunError


class Material(NamedTuple):
    """Parts of traces, the codes of their steps, and the form in which they are trained on."""

    form: Form
    trace: Trace
    codes: Int[Tensor, "b z"]

    def at(self, rows: Int[Tensor, " b"]) -> Material:
        """Returns some rows."""
        return self._replace(trace=Trace(*(part[rows] for part in self.trace)), codes=self.codes[rows])


def material(inputs: Inputs) -> Material:
    """The training problems, with the codes of their steps.

    Raises: RunError if codes do not divide a chunk, or there are no fillers to strip.
    """
    plan, dataset = inputs.plan, inputs.dataset
    form, seed, source = _form(inputs), plan["seed"], plan["experiment.codes"]
    trace = split_trace(dataset.take("train", spread(dataset.sizes["train"])).data, form.alphabet.text)
    codes = trace.steps[:, :0]
    if _learned(inputs):
        codes = learned(dataset, inputs.tokenizer, "train", inputs.device)
        if source == "shuffled":
            codes = shuffled(codes, seed)
    elif form.trace == "latent":
        codes = _control(source, trace, form, seed)
    return Material(form, trace, codes)


def _control(source: str, trace: Trace, form: Form, seed: int) -> Int[Tensor, "b z"]:
    """Codes that no tokenizer makes."""
    if source == "prompt-hash":
        return prompt_hashed(trace, form.chunking, form.alphabet.codes, seed)
    control = {"fixed": fixed, "hash": hashed, "ids-hash": ids_hashed}[source]
    return control(trace.steps, form.chunking, form.alphabet.codes, seed)


def _learned(inputs: Inputs) -> bool:
    """Whether the codes are a tokenizer's."""
    return has_learned_codes(inputs.plan["experiment.trace"], inputs.plan["experiment.codes"])


def _form(inputs: Inputs) -> Form:
    plan, dataset = inputs.plan, inputs.dataset
    tokenizer_spec = plan["tokenizer"]
    bottleneck = plan["bottleneck"].build()
    each = tokenizer_spec.chunk // tokenizer_spec.rate * code_shape(bottleneck)[0]  # controls have as many
    if tokenizer_spec.chunk % each:
        raise RunError(
            f"latent-reasoning: expected a number of codes that divides a chunk of {tokenizer_spec.chunk} ids, "
            f"got {each}; "
            "take a bottleneck with fewer codes for each feature"
        )
    fillers, trace = tuple(getattr(dataset, "fillers", ())), plan["experiment.trace"]
    if (
        trace == "stripped" and not fillers and inputs.run is not None
    ):  # blank data, of which costs are counted, have none
        raise RunError("latent-reasoning: expected a dataset with fillers to strip, got one without")
    return Form(
        trace,
        plan["experiment.replacement"],
        plan["experiment.ceilings"],
        Chunking(tokenizer_spec.chunk, tokenizer_spec.chunk // each),
        Alphabet(dataset.vocabulary, bottleneck.vocabulary),
        fillers,
        Noise(plan["seed"], "which chunks are replaced"),
        dataset.take("train", torch.zeros(1, dtype=torch.int64)).data.shape[1],
    )


def rows(inputs: Inputs, step: int) -> Int[Tensor, "b n"]:
    """The rows of a training step."""
    known, training = inputs.material, inputs.plan["training.prior"]
    order, size = Noise(inputs.plan["seed"], "order of the prior's batches"), len(known.codes)
    chosen = batch_at(order, size, training.batch, step)
    epochs = (step * training.batch + torch.tensor(rows_of(training.batch))) // size
    part = known.at(chosen)
    occasion = Occasion(chosen, epochs, step / training.steps)
    made: Tensor = known.form.rows(part.trace, part.codes, occasion).to(inputs.device)
    return made


def prior_objective(inputs: Inputs) -> Objective:
    """The objective of the prior: the mean nats of an id that counts.

    Where costs are counted, rows are as long as the longest of the data.
    """
    plan, known = inputs.plan, inputs.material
    training = plan["training.prior"]
    form = _form(inputs) if known is None else known.form
    with seeded(plan["seed"], "prior"):
        prior = inputs.placed(plan["prior"].build(form.alphabet.size, form.width, None))

    def loss(step: int, progress: float) -> Loss:
        if known is None:
            return Loss(nats(prior, torch.zeros(training.batch, form.width, dtype=torch.int64), None).mean(), {})
        ids = rows(inputs, step)
        loss_mask = loss_weights(ids, form.alphabet.text)
        own = step_noise(plan["seed"], "prior", step, len(ids), inputs.device)
        return Loss(
            nats(prior, ids, None, loss_mask, noise=own).sum() / portion(loss_mask.sum(), loss_mask.numel()), {}
        )

    return Objective({"prior": Part(prior, training.optimizer)}, loss, form.width)
