"""The laws of priors: what a row may depend on, and a session whose logits equal those of the full pass."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hypothesis import strategies
from torch import nn

from crt_laws.checks import check, equal, same
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import prior_offenders as plants
from crt_laws.laws import prior_refusals
from crt_laws.laws.passes import buffers, in_training, sample_noise, unchanged
from crt_laws.laws.prior_scripts import CLASSES, LENGTH, VOCABULARY, Blind, Draw, agree
from crtcore.kinds.prior import Prior, PriorSpec
from crtcore.noise import Noise

SEEDS = strategies.integers(0, 2**31 - 1)
BATCHES = strategies.integers(1, 3)
PROMPTS = strategies.integers(0, 3)
WIDTHS = strategies.integers(1, 5)
LENGTHS = strategies.integers(1, LENGTH)


def subject(spec: PriorSpec) -> Prior:
    """The prior in float64, every parameter moved by noise, as an output layer of zeros would keep any law."""
    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as folder:
        torch.manual_seed(0)
        prior = spec.example_in(Path(folder)).build(VOCABULARY, LENGTH, CLASSES)
        if isinstance(prior, nn.Module):
            prior.double().eval().requires_grad_(False)
            for parameter in prior.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


@law("prior", seed=SEEDS, batch=BATCHES, length=strategies.integers(0, LENGTH))
def every_row_has_a_finite_maximum(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """No logit is NaN or +inf, and one is finite in every row up to the last id."""
    draw = Draw(seed, batch)
    ids = draw.ragged(length)
    present = torch.arange(length + 1) <= (ids >= 0).sum(-1, keepdim=True)  # b n+1

    logits = prior(ids, draw.class_ids())

    yield equal(logits.shape, (batch, length + 1, prior.vocabulary), "the shape of logits")
    yield check(logits.amax(-1)[present].isfinite(), "a row without a finite maximum")  # amax passes NaN on


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def later_ids_do_not_matter(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """Other ids from a place on do not change that row and those before it."""
    draw = Draw(seed, batch)
    ids, others, class_ids = draw.ids(length), draw.ids(length), draw.class_ids()
    place = int(draw.below(length))
    changed = torch.cat((ids[:, :place], others[:, place:]), 1)

    yield agree(prior(changed, class_ids)[:, : place + 1], prior(ids, class_ids)[:, : place + 1])


@law("prior", seed=SEEDS, batch=strategies.integers(2, 4), length=LENGTHS)
def neighbours_do_not_matter(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """A row has the same logits in a ragged batch and alone."""
    draw = Draw(seed, batch)
    ids, class_ids = draw.ragged(length), draw.class_ids()
    rows = int((ids[0] >= 0).sum()) + 1

    yield agree(prior(ids, class_ids)[:1, :rows], prior(ids[:1], class_ids[:1])[:, :rows])


@law("prior", seed=SEEDS, batch=strategies.integers(2, 4), length=LENGTHS)
def noise_is_of_a_row(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """In training, the last row has the same logits in a batch and alone, given its own noise."""
    draw = Draw(seed, batch)
    ids, class_ids, noise = draw.ids(length), draw.class_ids(), sample_noise(seed, batch)

    with in_training(prior):
        together = prior(ids, class_ids, noise=noise)
        alone = prior(ids[-1:], class_ids[-1:], noise=Noise(noise.seed[-1:], noise.stream))

    yield agree(together[-1:], alone)


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def without_noise_nothing_is_random(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """Without noise, two calls give the same logits bit for bit, in training too."""
    draw = Draw(seed, batch)
    ids, class_ids = draw.ids(length), draw.class_ids()

    with in_training(prior):
        first, again = prior(ids, class_ids), prior(ids, class_ids)

    yield same(again, first, "logits of two calls")


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def a_pass_changes_no_state(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """A pass in training changes no buffer."""
    draw, before = Draw(seed, batch), buffers(prior)

    with in_training(prior):
        logits = prior(draw.ids(length), draw.class_ids(), noise=sample_noise(seed, batch))

    yield from unchanged(prior, before, logits.sum())


@law("prior", seed=SEEDS, length=strategies.integers(0, LENGTH - 1))
def absent_ids_do_not_matter(prior: Prior, seed: int, length: int) -> Checks:
    """Absent ids at the right end do not change the rows before them."""
    draw = Draw(seed, 1)
    ids, class_ids = draw.ids(length), draw.class_ids()
    wide = torch.cat((ids, torch.full((1, LENGTH - length), -1)), 1)

    yield agree(prior(wide, class_ids)[:, : length + 1], prior(ids, class_ids))


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def no_class_ids_are_minus_one(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """No class ids and class ids of -1 give the same logits, by the full pass and by a session."""
    ids = Draw(seed, batch).ids(length)
    none = torch.full((batch,), -1)

    yield agree(prior(ids), prior(ids, none))
    without, with_none = (prior.open(ids, each, capacity=LENGTH, room=1).next_logits for each in (None, none))
    yield agree(without, with_none)


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, LENGTH))
def a_session_opens_at_its_prompt(prior: Prior, seed: int, batch: int, prompt: int) -> Checks:
    """The next logits of a new session are those of the full pass after the prompt, however ragged."""
    yield from Draw(seed, batch).replay(prior, prompt).next_logits()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_chain_equals_the_full_pass(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """Ids in a chain, some rows shorter, have the logits of the full pass."""
    draw = Draw(seed, batch)

    yield from draw.replay(prior, prompt).extend(draw.ragged(width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_tree_equals_the_full_pass(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """Each node of a tree, another tree in each row, has the logits of the full pass over its path."""
    draw = Draw(seed, batch)

    yield from draw.replay(prior, prompt).extend(draw.ids(width), draw.tree(0, width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, widths=strategies.tuples(*[strategies.integers(1, 2)] * 2))
def columns_are_numbered_on(prior: Prior, seed: int, batch: int, prompt: int, widths: tuple[int, ...]) -> Checks:
    """Parents may be columns of earlier calls."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)

    for width in widths:
        yield from replay.extend(draw.ids(width), draw.chain(replay.parents.shape[1], width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, 2), width=strategies.integers(1, 3))
def an_absent_node_stands_for_its_parent(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """A chain continues from the last id that is present, whatever the number of absent ones between."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)

    yield from replay.extend(draw.ragged(width), draw.chain(0, width))
    for _ in range(3):
        yield from replay.extend(draw.ragged(1))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_commit_updates_the_next_logits(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """After a commit, of another length in each row, the next logits follow its last column, or stay if it is empty."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    yield from replay.extend(draw.ids(width), draw.chain(0, width))

    replay.commit(draw.path(replay.parents, width))

    yield from replay.next_logits()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, 2), width=WIDTHS)
def a_commit_keeps_its_path_alone(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """After a commit, new nodes depend on the path and on nothing else of its tree."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    yield from replay.extend(draw.ids(width), draw.tree(0, width))

    replay.commit(draw.path(replay.parents, 3))

    yield from replay.extend(draw.ids(2), draw.chain(0, 2))


@law(
    "prior",
    seed=SEEDS,
    batch=BATCHES,
    prompt=strategies.integers(0, 1),
    kinds=strategies.tuples(*[strategies.booleans()] * 3),
)
def calls_in_any_order_equal_the_full_pass(
    prior: Prior, seed: int, batch: int, prompt: int, kinds: tuple[bool, ...]
) -> Checks:
    """Chains and trees with absent nodes, in several calls with ragged commits, have the logits of the full pass."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    yield from replay.next_logits()
    for chain in kinds:
        yield from replay.extend(draw.ragged(2), None if chain else draw.tree(0, 2))
        yield from replay.extend(draw.ragged(1), draw.tree(2, 1) if chain else None)
        replay.commit(draw.path(replay.parents, 2))
        yield from replay.next_logits()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=strategies.integers(1, 4))
def shapes_alone_decide_the_work(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> Checks:
    """Opening, extending and committing read no scalar on the host and make no shape from values."""
    draw = Draw(seed, batch)
    ids, class_ids, new, parents = draw.ragged(prompt), draw.class_ids(), draw.ragged(width), draw.tree(0, width)
    path = draw.path(parents, width)

    blind = Blind()
    with blind:
        session = prior.open(ids, class_ids, capacity=LENGTH, room=LENGTH)
        session.extend(new, parents)
        session.extend(new[:, :1])
        session.commit(path)

    yield equal(sorted(blind.reads), [], "the list of operations that read values")


@law("prior", seed=SEEDS, batch=strategies.integers(2, 3))
def capacity_is_of_a_row(prior: Prior, seed: int, batch: int) -> Checks:
    """A row that commits more ids than the capacity has logits of NaN, and its neighbours have finite ones."""
    draw = Draw(seed, batch)
    session = prior.open(draw.ids(1), capacity=2, room=3)
    for column in range(2):
        session.extend(draw.ids(3))
        session.commit(torch.tensor([[0, 1, 2], *[[0, -1, -1] if column == 0 else [-1] * 3] * (batch - 1)]))

    logits = torch.cat((session.next_logits[:, None], session.extend(draw.ids(3))), 1)

    yield check(logits[0].isnan(), "logits of a row beyond its capacity")
    yield check(logits[1:].amax(-1).isfinite(), "no finite logits of a row within its capacity")


LAWS = (*laws_in(globals()), *prior_refusals.LAWS)

_ANY = frozenset({calls_in_any_order_equal_the_full_pass.name})

OFFENDERS = (
    Offender(every_row_has_a_finite_maximum, plants.mute, also=frozenset({capacity_is_of_a_row.name})),
    Offender(later_ids_do_not_matter, plants.clairvoyant),
    Offender(neighbours_do_not_matter, plants.sociable, also=frozenset({noise_is_of_a_row.name})),
    Offender(noise_is_of_a_row, plants.placed),
    Offender(without_noise_nothing_is_random, plants.Restless),
    Offender(a_pass_changes_no_state, plants.Counting),
    Offender(absent_ids_do_not_matter, plants.padded),
    Offender(no_class_ids_are_minus_one, plants.particular),
    Offender(a_session_opens_at_its_prompt, plants.late, also=_ANY),
    Offender(a_chain_equals_the_full_pass, plants.starry, also=_ANY),
    Offender(a_tree_equals_the_full_pass, plants.straight, also=_ANY | {a_commit_keeps_its_path_alone.name}),
    Offender(columns_are_numbered_on, plants.restarting, also=_ANY),
    Offender(
        an_absent_node_stands_for_its_parent,
        plants.filled,
        also=_ANY | {prior_refusals.ids_outside_the_vocabulary_are_refused.name},
    ),
    Offender(a_commit_updates_the_next_logits, plants.stuck, also=_ANY | {capacity_is_of_a_row.name}),
    Offender(a_commit_keeps_its_path_alone, plants.forgetful, also=_ANY),
    Offender(calls_in_any_order_equal_the_full_pass, plants.tiring),
    Offender(shapes_alone_decide_the_work, plants.curious),
    Offender(capacity_is_of_a_row, plants.careless),
    *prior_refusals.OFFENDERS,
)

BENCH = Bench("prior", subject, LAWS, OFFENDERS)
