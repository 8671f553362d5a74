"""The laws of regularisers: two gradients kept apart, and a tokenizer that is left alone at weight 0.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

from typing import cast

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crt_laws.compare import assert_near
from crt_laws.kit import Bench, Offender, law, laws_in
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
    """The parameters of what may have none."""
    return list(part.parameters()) if isinstance(part, nn.Module) else []


def reaches(value: Tensor, sources: list[Tensor]) -> bool:
    """Whether any of the sources gets a gradient other than 0 from `value`."""
    sources = [source for source in sources if source.requires_grad]
    if not (value.requires_grad and sources):
        return False
    gradients = torch.autograd.grad(value, sources, allow_unused=True, retain_graph=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def floating(encoded: Encoded) -> list[Tensor]:
    """All that a gradient could reach."""
    return [value for value in encoded if value is not None and value.is_floating_point()]


SEEDS = st.integers(0, 2**32)
PROGRESS = st.floats(0, 1)


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def loss_stays_out_of_its_parameters(trial: Trial, seed: int, progress: float) -> None:
    """The gradient of `loss` does not reach the regulariser's own parameters."""
    data = images(seed)

    penalty = trial.regularizer(data, trial.tokenizer(data), progress)

    assert not reaches(penalty.loss, [*parameters(trial.regularizer)])


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def own_stays_out_of_the_tokenizer(trial: Trial, seed: int, progress: float) -> None:
    """The gradient of `own` does not reach anything that the tokenizer made."""
    data = images(seed)
    encoded = trial.tokenizer(data)

    penalty = trial.regularizer(data, encoded, progress)

    assert not reaches(penalty.own, floating(encoded))


@law("regularizer", seed=SEEDS)
def weight_zero_is_the_baseline(trial: Trial, seed: int) -> None:
    """Training at weight 0 leaves the tokenizer where training without the regulariser does, bit for bit."""
    alone = _trained(trial.tokenizer, {}, seed)

    beside = _trained(trial.tokenizer, {"regularizer": (trial.regularizer, 0.0)}, seed)

    assert alone.keys() == beside.keys()
    assert all(torch.equal(alone[name], beside[name]) for name in alone)


def _state(part: object) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in cast("nn.Module", part).state_dict().items()}


def _trained(tokenizer: Tokenizer, beside: dict[str, tuple[Regularizer, float]], seed: int) -> dict[str, Tensor]:
    """The tokenizer's state after a few steps, and the tokenizer as it was before."""
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
def batch_order_does_not_matter(trial: Trial, seed: int, progress: float, order: list[int]) -> None:
    """The same samples in another order have the same penalty."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    shuffled = Encoded._make(value if value is None or value.ndim == 0 else value[order] for value in encoded)

    one, other = trial.regularizer(data, encoded, progress), trial.regularizer(data[order], shuffled, progress)

    assert_near(one.loss, other.loss)
    assert_near(one.own, other.own)


@law("regularizer", seed=SEEDS, progress=PROGRESS, lengths=st.tuples(*[st.integers(0, 4)] * 3))
def absent_positions_do_not_matter(trial: Trial, seed: int, progress: float, lengths: tuple[int, ...]) -> None:
    """What lies at a masked position changes no penalty."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    mask = torch.arange(trial.tokenizer.length) < torch.tensor(lengths)[:, None]
    absent = encoded._replace(mask=mask, ids=None if encoded.ids is None else encoded.ids.where(mask, -1))
    noise = torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    other = absent._replace(
        features=encoded.features + noise.where(~mask, 0)[..., None],
        compared=encoded.compared + noise.where(~mask, 0)[..., None],
        codes=encoded.codes + noise.where(~mask, 0)[..., None],
    )

    penalties = [trial.regularizer(data, version, progress) for version in (absent, other)]

    assert_near(penalties[0].loss, penalties[1].loss)
    assert_near(penalties[0].own, penalties[1].own)


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def penalties_are_finite_numbers(trial: Trial, seed: int, progress: float) -> None:
    """`loss` and `own` are finite scalars, readings are plain finite floats."""
    data = images(seed)

    penalty = trial.regularizer(data, trial.tokenizer(data), progress)

    for amount in (penalty.loss, penalty.own):
        assert amount.shape == ()
        assert amount.isfinite()
    for reading in penalty.readings.values():
        assert type(reading) is float
        assert torch.tensor(reading).isfinite()


@law("regularizer", seed=SEEDS, progress=PROGRESS)
def the_tokenizer_is_not_touched(trial: Trial, seed: int, progress: float) -> None:
    """A call changes nothing in the tokenizer: neither its state nor what it decodes."""
    data = images(seed)
    encoded = trial.tokenizer(data)
    ids = trial.tokenizer.encode(data)
    before, image = _state(trial.tokenizer), trial.tokenizer.decode(ids)

    trial.regularizer(data, encoded, progress)

    after = _state(trial.tokenizer)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(trial.tokenizer.decode(ids), image)


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        loss_stays_out_of_its_parameters, plants.altered(lambda self, _, penalty: {"loss": penalty.loss * self.scale})
    ),
    Offender(
        own_stays_out_of_the_tokenizer, plants.altered(lambda _, encoded, penalty: {"own": penalty.own + encoded.loss})
    ),
    Offender(weight_zero_is_the_baseline, plants.altered(plants.decay)),
    Offender(
        batch_order_does_not_matter,
        plants.altered(lambda _, encoded, penalty: {"loss": penalty.loss + encoded.distortion[0]}),
    ),
    Offender(
        absent_positions_do_not_matter,
        plants.altered(lambda _, encoded, penalty: {"loss": penalty.loss + encoded.compared.square().mean()}),
    ),
    Offender(penalties_are_finite_numbers, plants.altered(lambda _, __, penalty: {"readings": {"loss": penalty.loss}})),
    Offender(
        the_tokenizer_is_not_touched, plants.altered(plants.nudge), also=frozenset({weight_zero_is_the_baseline.name})
    ),
)

BENCH = Bench("regularizer", subject, LAWS, OFFENDERS)
