"""The laws of tokenizers: two directions that agree, ids in order, and a state that survives.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

from typing import cast

import attrs
import safetensors.torch
import torch
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crt_laws.compare import assert_near
from crt_laws.kit import Bench, Offender, law, laws_in
from crt_laws.laws import tokenizer_offenders as plants
from crt_laws.laws.tokenizer_cases import Form, Trial
from crtcore.kinds.tokenizer import Encoded, Tokenizer, TokenizerSpec


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
        """The samples, in the form that the tokenizer takes."""
        return trial.form.draw(torch.Generator().manual_seed(self.seed), self.samples)


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
    """The ids, which there are for a discrete bottleneck."""
    assert encoded.ids is not None
    return encoded.ids


@law("tokenizer", batch=BATCHES)
def encode_is_the_first_half(trial: Trial, batch: Batch) -> None:
    """`encode` gives the ids met on the whole way."""
    data = batch.data(trial)

    assert torch.equal(trial.tokenizer.encode(data), ids_of(trial.tokenizer(data)))


@law("tokenizer", batch=BATCHES)
def decode_is_the_second_half(trial: Trial, batch: Batch) -> None:
    """Decoding the ids met on the whole way gives its reconstruction."""
    encoded = trial.tokenizer(batch.data(trial))

    decoded = trial.tokenizer.decode(ids_of(encoded))

    assert_near(decoded, encoded.reconstruction)


@law("tokenizer", batch=BATCHES)
def ids_are_in_range(trial: Trial, batch: Batch) -> None:
    """Ids run from 0 up to the vocabulary, no more of them than the length; absent ones, as masked, end a row."""
    encoded = trial.tokenizer(batch.data(trial))
    ids = ids_of(encoded)

    assert ids.shape[1] <= trial.tokenizer.length
    assert ids.max() < trial.tokenizer.vocabulary
    assert ids.min() >= -1
    assert torch.equal(encoded.mask, ids >= 0)
    assert (encoded.mask[:, :-1] >= encoded.mask[:, 1:]).all()


@law("tokenizer", batch=BATCHES)
def neighbours_do_not_matter(trial: Trial, batch: Batch) -> None:
    """A sample has the same ids, reconstruction, distortion and rate in any batch."""
    data = batch.data(trial)
    together = trial.tokenizer(data)

    for row in range(len(data)):
        alone = trial.tokenizer(data[row : row + 1])
        present = together.mask[row]
        assert torch.equal(ids_of(alone)[alone.mask], ids_of(together)[row, present])
        for one, other in zip(_by_sample(alone), _by_sample(together), strict=True):
            assert_near(one[0], other[row])


def _by_sample(encoded: Encoded) -> tuple[Tensor, ...]:
    return encoded.reconstruction, encoded.distortion, encoded.rate


@law("tokenizer", batch=BATCHES, seed=st.integers(1, 2**32))
def state_survives_saving(trial: Trial, batch: Batch, seed: int) -> None:
    """Saved and loaded into one built under another seed, it gives the same ids and reconstruction bit for bit."""
    data = batch.data(trial)
    fresh = trial.build(seed)

    saved = safetensors.torch.save(cast("nn.Module", trial.tokenizer).state_dict())
    cast("nn.Module", fresh).load_state_dict(safetensors.torch.load(saved))

    before, after = trial.tokenizer(data), fresh(data)
    assert torch.equal(ids_of(after), ids_of(before))
    assert torch.equal(after.reconstruction, before.reconstruction)


@law("tokenizer", batch=BATCHES)
def distortion_is_finite(trial: Trial, batch: Batch) -> None:
    """Loss, distortion and rate are finite, the last two never negative, with a number for each sample."""
    encoded = trial.tokenizer(batch.data(trial))

    assert encoded.loss.isfinite()
    for amount in (encoded.distortion, encoded.rate):
        assert amount.shape == (batch.samples,)
        assert amount.isfinite().all()
        assert (amount >= 0).all()


@law("tokenizer", batch=BATCHES)
def data_keeps_its_shape(trial: Trial, batch: Batch) -> None:
    """What comes back has the shape and type of what went in."""
    data = batch.data(trial)

    encoded = trial.tokenizer(data)
    decoded = trial.tokenizer.decode(ids_of(encoded))

    assert decoded.shape == encoded.reconstruction.shape == data.shape
    assert decoded.dtype == encoded.reconstruction.dtype == data.dtype


@law("tokenizer", batch=BATCHES)
def the_loss_teaches_the_encoder(trial: Trial, batch: Batch) -> None:
    """The loss has a gradient at the features, and the features at a parameter."""
    encoded = trial.tokenizer(batch.data(trial))

    assert encoded.features.requires_grad
    assert encoded.loss.requires_grad
    (gradient,) = torch.autograd.grad(encoded.loss, encoded.features)
    assert gradient.abs().max() > 0


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        encode_is_the_first_half,
        plants.altered(encode=lambda inner, data: (inner.encode(data) + 1) % inner.vocabulary),
    ),
    Offender(decode_is_the_second_half, plants.altered(decode=lambda inner, ids: inner.decode(ids) / 2)),
    Offender(ids_are_in_range, plants.altered(vocabulary=1)),
    Offender(
        neighbours_do_not_matter,
        plants.altered(
            call=lambda inner, data: inner(data - data.mean(0)),
            encode=lambda inner, data: inner.encode(data - data.mean(0)),
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
        the_loss_teaches_the_encoder,
        plants.altered(
            call=plants.replaced(lambda encoded: {"features": encoded.features.detach(), "loss": encoded.loss.detach()})
        ),
    ),
)

BENCH = Bench("tokenizer", subject, LAWS, OFFENDERS)
