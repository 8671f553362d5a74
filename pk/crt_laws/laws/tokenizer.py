"""The laws of tokenizers: two directions that agree, ids in range, and a state that can be saved.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import attrs
import safetensors.torch
import torch
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crt_laws.checks import check, equal, near, refused, same
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import tokenizer_offenders as plants
from crt_laws.laws.passes import buffers, in_training, sample_noise, unchanged
from crt_laws.laws.tokenizer_cases import Form, Trial
from crtcore.kinds.tokenizer import Encoded, Tokenizer, TokenizerSpec
from crtcore.noise import Noise


def images(generator: torch.Generator, samples: int) -> Float[Tensor, "b 1 8 8"]:
    """Images, uniform from -1 to 1."""
    return 2 * torch.rand((samples, 1, 8, 8), generator=generator, dtype=torch.float64) - 1


def traces(generator: torch.Generator, samples: int) -> Int[Tensor, "b 21"]:
    """Traces of 11 ids: prompt, id 8, steps, id 9, solution, id 10, each part of one to six ids."""
    rows = torch.full((samples, 21), -1)
    for row in rows:
        ids = []
        for delimiter in (8, 9, 10):
            size = int(torch.randint(1, 7, (), generator=generator))
            ids += [*torch.randint(8, (size,), generator=generator).tolist(), delimiter]
        row[: len(ids)] = torch.tensor(ids)
    return rows


FORMS = {"image": Form(images), "trace": Form(traces, 11)}
"""Each form by its name."""


@attrs.frozen
class Batch:
    """Samples, drawn by a seed."""

    seed: int
    samples: int

    def data(self, trial: Trial) -> Tensor:
        """The samples, in the form of data that the tokenizer takes."""
        return trial.form.draw(torch.Generator().manual_seed(self.seed), self.samples)

    def noise(self) -> Noise:
        """Noise with a seed for each sample."""
        return sample_noise(self.seed, self.samples)


BATCHES = st.builds(Batch, st.integers(0, 2**32), st.integers(1, 4))


def subject(spec: TokenizerSpec) -> Trial:
    """The tokenizer in float64 over `FSQ(levels=(5, 5, 5))`, with first values from a fixed seed.

    Raises: ValueError if there is no sample of the spec's form of data.
    """
    if spec.form not in FORMS:
        raise ValueError(f"expected a tokenizer of data of form {sorted(FORMS)}, got {spec.form!r}")
    form = FORMS[spec.form]
    sample = form.draw(torch.Generator().manual_seed(0), 2)

    def build(seed: int) -> Tokenizer:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tokenizer = spec.build(FSQ(levels=(5, 5, 5)).build(), sample, form.vocabulary)
        return cast("Tokenizer", cast("nn.Module", tokenizer).double())

    return Trial(build(0), build, form)


def ids_of(encoded: Encoded) -> Tensor:
    """The ids of a tokenizer over a discrete bottleneck.

    Raises: ValueError if there are none.
    """
    if encoded.ids is None:
        raise ValueError("expected ids, as the bottleneck is discrete, got None")
    return encoded.ids


@law("tokenizer", batch=BATCHES)
def encode_is_the_first_half(trial: Trial, batch: Batch) -> Checks:
    """`encode` returns the ids of the whole pass."""
    data = batch.data(trial)

    yield same(trial.tokenizer.encode(data), ids_of(trial.tokenizer(data)), "ids by `encode` and by call")


@law("tokenizer", batch=BATCHES)
def decode_is_the_second_half(trial: Trial, batch: Batch) -> Checks:
    """`decode` of the ids of the whole pass returns its reconstruction."""
    encoded = trial.tokenizer(batch.data(trial))

    decoded = trial.tokenizer.decode(ids_of(encoded))

    yield near(decoded, encoded.reconstruction, "reconstructions by `decode` and by call")


@law("tokenizer", batch=BATCHES)
def ids_are_in_range(trial: Trial, batch: Batch) -> Checks:
    """Ids are less than the vocabulary and at most `length` a row; the absent ones, as masked, end a row."""
    encoded = trial.tokenizer(batch.data(trial))
    ids, tokenizer = ids_of(encoded), trial.tokenizer

    yield check(ids.shape[1] <= tokenizer.length, f"{ids.shape[1]} ids with a length of {tokenizer.length}")
    observed = f"ids from {ids.min()} to {ids.max()} with a vocabulary of {tokenizer.vocabulary}"
    yield check((ids >= -1) & (ids < (tokenizer.vocabulary or 0)), observed)
    yield same(encoded.mask, ids >= 0, "the mask and where ids are present")
    gaps = int((encoded.mask[:, :-1] < encoded.mask[:, 1:]).sum())
    yield equal(gaps, 0, "the number of ids after an absent one")


@law("tokenizer", batch=BATCHES)
def neighbours_do_not_matter(trial: Trial, batch: Batch) -> Checks:
    """A sample has the same ids, reconstruction, distortion and rate in any batch, given noise of its own."""
    data, noise = batch.data(trial), batch.noise()
    together = trial.tokenizer(data, noise=noise)

    for row in range(len(data)):
        alone = trial.tokenizer(data[row : row + 1], noise=Noise(noise.seed[row : row + 1], noise.stream))
        present = together.mask[row]
        yield same(ids_of(alone)[alone.mask], ids_of(together)[row, present], "ids alone and in a batch")
        for name in ("reconstruction", "distortion", "rate"):
            yield near(getattr(alone, name)[0], getattr(together, name)[row], f"{name} alone and in a batch")


@law("tokenizer", batch=BATCHES, seed=st.integers(1, 2**32))
def state_survives_saving(trial: Trial, batch: Batch, seed: int) -> Checks:
    """Saved and loaded into one built under another seed, it gives the same ids and reconstruction bit for bit."""
    data = batch.data(trial)
    fresh = trial.build(seed)

    saved = safetensors.torch.save(cast("nn.Module", trial.tokenizer).state_dict())
    cast("nn.Module", fresh).load_state_dict(safetensors.torch.load(saved))

    before, after = trial.tokenizer(data), fresh(data)
    yield same(ids_of(after), ids_of(before), "ids after and before")
    yield same(after.reconstruction, before.reconstruction, "reconstructions after and before")


@law("tokenizer", batch=BATCHES)
def without_noise_nothing_is_random(trial: Trial, batch: Batch) -> Checks:
    """Without noise, two calls give the same output bit for bit, in training too."""
    data = batch.data(trial)

    with in_training(trial.tokenizer):
        first, again = trial.tokenizer(data), trial.tokenizer(data)

    for name in ("reconstruction", "rate", "loss"):
        yield same(getattr(again, name), getattr(first, name), f"{name} of two calls")


@law("tokenizer", batch=BATCHES)
def a_pass_changes_no_state(trial: Trial, batch: Batch) -> Checks:
    """Forward and backward passes in training change no buffer: only `after_step` may."""
    before = buffers(trial.tokenizer)

    with in_training(trial.tokenizer):
        encoded = trial.tokenizer(batch.data(trial), noise=batch.noise())

    yield from unchanged(trial.tokenizer, before, encoded.loss)


@law("tokenizer", batch=BATCHES)
def distortion_is_finite(trial: Trial, batch: Batch) -> Checks:
    """Loss, distortion and rate are finite, the last two never negative, with a number for each sample."""
    encoded = trial.tokenizer(batch.data(trial))

    yield check(encoded.loss.isfinite(), f"loss {encoded.loss.item()}")
    for name, amount in (("distortion", encoded.distortion), ("rate", encoded.rate)):
        yield equal(amount.shape, (batch.samples,), f"the shape of {name}")
        yield check(amount.isfinite(), f"{name} {amount.tolist()}")
        yield check(amount >= 0, f"{name} {amount.tolist()}")


@law("tokenizer", batch=BATCHES)
def data_keeps_its_shape(trial: Trial, batch: Batch) -> Checks:
    """Reconstructions have the shape and type of the data."""
    data = batch.data(trial)

    encoded = trial.tokenizer(data)
    decoded = trial.tokenizer.decode(ids_of(encoded))

    for name, output in (("the reconstruction", encoded.reconstruction), ("what `decode` returns", decoded)):
        yield equal(output.shape, data.shape, f"the shape of {name}")
        yield equal(output.dtype, data.dtype, f"the type of {name}")


@law("tokenizer", batch=BATCHES)
def the_loss_reaches_the_encoder(trial: Trial, batch: Batch) -> Checks:
    """The loss has a gradient at the features, and the features at a parameter."""
    encoded = trial.tokenizer(batch.data(trial))

    yield check(encoded.features.requires_grad, "features without gradient")
    yield check(encoded.loss.requires_grad, "a loss without gradient")
    (gradient,) = torch.autograd.grad(encoded.loss, encoded.features)
    yield check(gradient.abs().max() > 0, "a gradient of 0 at the features")


@law("tokenizer", batch=BATCHES, above=st.sampled_from((None, 0, 5)))
def ids_outside_the_vocabulary_are_refused(trial: Trial, batch: Batch, above: int | None) -> Checks:
    """An id under -1, or not under the vocabulary, is not decoded but raises an error."""
    ids = trial.tokenizer.encode(batch.data(trial))
    wrong = -2 if above is None else (trial.tokenizer.vocabulary or 0) + above
    ids[-1, 0] = wrong

    yield refused(lambda: trial.tokenizer.decode(ids), f"the id {wrong}")


@law("tokenizer", batch=BATCHES, place=st.integers(0, 2**32))
def data_out_of_range_are_refused(trial: Trial, batch: Batch, place: int) -> Checks:
    """Data that are NaN or infinite, or ids out of their vocabulary, are not encoded but raise an error."""
    data = batch.data(trial)
    vocabulary = trial.form.vocabulary
    for wrong in (math.nan, math.inf, -math.inf) if vocabulary is None else (-2, vocabulary, 2**40):
        changed = data.clone()
        changed[-1].view(-1)[place % changed[-1].numel()] = wrong
        yield refused(partial(trial.tokenizer, changed), f"a pass over {wrong}")
        yield refused(partial(trial.tokenizer.encode, changed), f"`encode` of {wrong}")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        encode_is_the_first_half,
        plants.altered(encode=lambda inner, data: (inner.encode(data) + 1) % inner.vocabulary),
    ),
    Offender(decode_is_the_second_half, plants.altered(decode=lambda inner, ids: inner.decode(ids) / 2)),
    Offender(
        ids_are_in_range,
        plants.altered(vocabulary=1),
        also=frozenset({ids_outside_the_vocabulary_are_refused.name}),
    ),
    Offender(
        neighbours_do_not_matter,
        plants.altered(
            call=lambda inner, data: inner(data - data.mean(0)),
            encode=lambda inner, data: inner.encode(data - data.mean(0)),
        ),
    ),
    Offender(neighbours_do_not_matter, plants.altered(noisy=plants.placed)),
    Offender(
        without_noise_nothing_is_random,
        plants.altered(call=plants.replaced(lambda encoded: {"loss": encoded.loss + torch.rand(())})),
    ),
    Offender(a_pass_changes_no_state, plants.altered(counts=True)),
    Offender(
        ids_outside_the_vocabulary_are_refused,
        plants.altered(decode=lambda inner, ids: inner.decode(ids.clamp(0, inner.vocabulary - 1))),
    ),
    Offender(
        data_out_of_range_are_refused,
        plants.altered(
            call=lambda inner, data: inner(data.nan_to_num(0, 0, 0)),
            encode=lambda inner, data: inner.encode(data.nan_to_num(0, 0, 0)),
        ),
    ),
    Offender(state_survives_saving, plants.forgetful),
    Offender(
        distortion_is_finite, plants.altered(call=plants.replaced(lambda encoded: {"distortion": -encoded.distortion}))
    ),
    Offender(
        data_keeps_its_shape,
        plants.altered(
            call=plants.replaced(lambda encoded: {"reconstruction": encoded.reconstruction.flatten(1)}),
            decode=lambda inner, ids: inner.decode(ids).flatten(1),
        ),
    ),
    Offender(
        the_loss_reaches_the_encoder,
        plants.altered(
            call=plants.replaced(lambda encoded: {"features": encoded.features.detach(), "loss": encoded.loss.detach()})
        ),
    ),
)

BENCH = Bench("tokenizer", subject, LAWS, OFFENDERS)
