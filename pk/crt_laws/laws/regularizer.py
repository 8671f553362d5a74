"""The laws of regularisers: two separate gradients, and a tokenizer that weight 0 leaves unchanged.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crt_laws.checks import check, equal, near, same
from crt_laws.kit import Bench, Checks, Offender, Where, law, laws_in
from crt_laws.laws import regularizer_offenders as plants
from crt_laws.laws.regularizer_cases import Trial
from crt_laws.toys import LinearPatches, Patches
from crt_run.training.losses import penalised
from crtcore.kinds.regularizer import Regularizer, RegularizerSpec
from crtcore.kinds.tokenizer import Encoded, Tokenizer

STEPS = 3
"""Steps of training that are compared bit for bit."""


def subject(spec: RegularizerSpec) -> Trial:
    """The regulariser in float64 for a linear tokenizer of 8 by 8 images, with first values from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = LinearPatches(Patches(), FSQ(levels=(5, 5, 5)).build(), torch.zeros(2, 1, 8, 8)).double()
        regularizer = spec.build(tokenizer)
    if isinstance(regularizer, nn.Module):
        regularizer.double()
    return Trial(regularizer, tokenizer)


def images(seed: int) -> Float[Tensor, "3 1 8 8"]:
    """Three images, uniform from -1 to 1."""
    return 2 * torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def parameters(part: object) -> list[nn.Parameter]:
    """The parameters of a module; none of anything else."""
    return list(part.parameters()) if isinstance(part, nn.Module) else []


def reaches(value: Tensor, sources: list[Tensor]) -> bool:
    """Whether any of the sources gets a gradient other than 0 from `value`."""
    sources = [source for source in sources if source.requires_grad]
    if not (value.requires_grad and sources):
        return False
    gradients = torch.autograd.grad(value, sources, allow_unused=True, retain_graph=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def floating(encoded: Encoded) -> list[Tensor]:
    """The tensors that a gradient could reach."""
    return [value for value in encoded if value is not None and value.is_floating_point()]


SEEDS = st.integers(0, 2**32)
PROGRESS = st.floats(0, 1)
PARAMETRIC = Where(lambda trial: bool(parameters(trial.regularizer)), "it has no parameters")


@law("regularizer", where=PARAMETRIC, seed=SEEDS, progress=PROGRESS)
def loss_stays_out_of_its_parameters(trial: Trial, seed: int, progress: float) -> Checks:
    """The gradient of `loss` does not reach the regulariser's own parameters."""
    data = images(seed)

    penalty = trial.regularizer(data, trial.tokenizer(data), progress)

    yield check(not reaches(penalty.loss, [*parameters(trial.regularizer)]), "a gradient at them")


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def own_loss_stays_out_of_the_tokenizer(trial: Trial, seed: int, progress: float) -> Checks:
    """The gradient of `own_loss` does not reach any output of the tokenizer."""
    data = images(seed)
    encoded = trial.tokenizer(data)

    penalty = trial.regularizer(data, encoded, progress)

    yield check(not reaches(penalty.own_loss, floating(encoded)), "a gradient at one of them")


@law("regularizer", seed=SEEDS)
def weight_zero_is_the_baseline(trial: Trial, seed: int) -> Checks:
    """Training at weight 0 gives the same tokenizer as training without the regulariser, bit for bit."""
    alone = _trained(trial.tokenizer, {}, seed)

    beside = _trained(trial.tokenizer, {"regularizer": (trial.regularizer, 0.0)}, seed)

    yield equal(beside.keys(), alone.keys(), "the list of parameters")
    for name in alone:
        yield same(beside[name], alone[name], f"{name} with and without the regulariser")


def _state(part: object) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in cast("nn.Module", part).state_dict().items()}


def _trained(tokenizer: Tokenizer, beside: dict[str, tuple[Regularizer, float]], seed: int) -> dict[str, Tensor]:
    """The tokenizer's state after a few steps; the tokenizer itself is restored."""
    before = _state(tokenizer)
    optimizer = torch.optim.Adam(parameters(tokenizer), lr=1e-2)
    for step in range(STEPS):
        data = images(seed + step)
        optimizer.zero_grad()
        penalised(data, tokenizer(data), beside, step / STEPS).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = _state(tokenizer)
    cast("nn.Module", tokenizer).load_state_dict(before)
    return after


@law("regularizer", seed=SEEDS, progress=PROGRESS, order=st.permutations(range(3)))
def batch_order_does_not_matter(trial: Trial, seed: int, progress: float, order: list[int]) -> Checks:
    """The same samples in another order have the same penalty."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    shuffled = Encoded._make(value if value is None or value.ndim == 0 else value[order] for value in encoded)

    one, other = trial.regularizer(data, encoded, progress), trial.regularizer(data[order], shuffled, progress)

    yield near(one.loss, other.loss, "`loss` in two orders")
    yield near(one.own_loss, other.own_loss, "`own_loss` in two orders")


@law("regularizer", seed=SEEDS, progress=PROGRESS, lengths=st.tuples(*[st.integers(0, 4)] * 3))
def absent_positions_do_not_matter(trial: Trial, seed: int, progress: float, lengths: tuple[int, ...]) -> Checks:
    """The values at masked positions change no penalty."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    mask = torch.arange(trial.tokenizer.length) < torch.tensor(lengths)[:, None]
    absent = encoded._replace(mask=mask, ids=None if encoded.ids is None else encoded.ids.where(mask, -1))
    noise = torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    other = absent._replace(
        features=encoded.features + noise.where(~mask, 0)[..., None],
        latents=encoded.latents + noise.where(~mask, 0)[..., None],
        codes=encoded.codes + noise.where(~mask, 0)[..., None],
    )

    penalties = [trial.regularizer(data, version, progress) for version in (absent, other)]

    if not mask.all():
        yield near(penalties[0].loss, penalties[1].loss, "`loss` with other values")
        yield near(penalties[0].own_loss, penalties[1].own_loss, "`own_loss` with other values")


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def penalties_are_finite_numbers(trial: Trial, seed: int, progress: float) -> Checks:
    """`loss` and `own_loss` are finite scalars, metrics are plain finite floats."""
    data = images(seed)

    penalty = trial.regularizer(data, trial.tokenizer(data), progress)

    for name, amount in (("loss", penalty.loss), ("own_loss", penalty.own_loss)):
        yield equal(amount.shape, (), f"the shape of `{name}`")
        yield check(amount.isfinite(), f"`{name}` of {amount.item()}")
    for name, number in penalty.metrics.items():
        yield equal(type(number), float, f"the type of the metric {name!r}")
        yield check(math.isfinite(number), f"{name!r} of {number}")


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def the_tokenizer_is_not_changed(trial: Trial, seed: int, progress: float) -> Checks:
    """A call changes neither the state of the tokenizer nor what it decodes."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    ids = trial.tokenizer.encode(data)
    before, image = _state(trial.tokenizer), trial.tokenizer.decode(ids)

    trial.regularizer(data, encoded, progress)

    after = _state(trial.tokenizer)
    for name in before:
        yield same(after[name], before[name], f"{name} after and before")
    yield same(trial.tokenizer.decode(ids), image, "reconstructions after and before")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        loss_stays_out_of_its_parameters, plants.altered(lambda self, _, penalty: {"loss": penalty.loss * self.scale})
    ),
    Offender(
        own_loss_stays_out_of_the_tokenizer,
        plants.altered(lambda _, encoded, penalty: {"own_loss": penalty.own_loss + encoded.loss}),
    ),
    Offender(weight_zero_is_the_baseline, plants.altered(plants.decay)),
    Offender(
        batch_order_does_not_matter,
        plants.altered(lambda _, encoded, penalty: {"loss": penalty.loss + encoded.distortion[0]}),
    ),
    Offender(
        absent_positions_do_not_matter,
        plants.altered(lambda _, encoded, penalty: {"loss": penalty.loss + encoded.latents.square().mean()}),
    ),
    Offender(penalties_are_finite_numbers, plants.altered(lambda _, __, penalty: {"metrics": {"loss": penalty.loss}})),
    Offender(
        the_tokenizer_is_not_changed, plants.altered(plants.nudge), also=frozenset({weight_zero_is_the_baseline.name})
    ),
)

BENCH = Bench("regularizer", subject, LAWS, OFFENDERS)
