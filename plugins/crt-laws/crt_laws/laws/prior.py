"""The laws of priors: what a row may depend on, and that a session answers as the full pass does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hypothesis import strategies
from torch import nn

from crt_laws.kit import Bench, Offender, law, laws_in
from crt_laws.laws import prior_offenders as plants
from crt_laws.laws.prior_scripts import CLASSES, LENGTH, VOCABULARY, Blind, Draw, agree
from crtcore.kinds.prior import Prior, PriorSpec

SEEDS = strategies.integers(0, 2**31 - 1)
BATCHES = strategies.integers(1, 3)
PROMPTS = strategies.integers(0, 3)
WIDTHS = strategies.integers(1, 5)
LENGTHS = strategies.integers(1, LENGTH)


def subject(spec: PriorSpec) -> Prior:
    """The prior in float64, every parameter moved by noise: an output layer that starts at 0 would keep any law."""
    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as folder:
        torch.manual_seed(0)
        prior = spec.example_in(Path(folder)).build(VOCABULARY, LENGTH, CLASSES)
        if isinstance(prior, nn.Module):
            prior.double().eval().requires_grad_(False)
            for parameter in prior.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


@law("prior", seed=SEEDS, batch=BATCHES, length=strategies.integers(0, LENGTH))
def every_row_has_a_finite_maximum(prior: Prior, seed: int, batch: int, length: int) -> None:
    """No logit is NaN or +inf, and in every row that means something one is finite."""
    draw = Draw(seed, batch)
    ids = draw.ragged(length)
    meant = torch.arange(length + 1) <= (ids >= 0).sum(-1, keepdim=True)  # b n+1

    logits = prior(ids, draw.condition())

    assert logits.shape == (batch, length + 1, prior.vocabulary)
    assert logits.amax(-1)[meant].isfinite().all()  # amax passes NaN on


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def later_ids_do_not_matter(prior: Prior, seed: int, batch: int, length: int) -> None:
    """Other ids from a place on leave that row and those before it as they are."""
    draw = Draw(seed, batch)
    ids, others, condition = draw.ids(length), draw.ids(length), draw.condition()
    place = int(draw.below(length))
    changed = torch.cat((ids[:, :place], others[:, place:]), 1)

    agree(prior(changed, condition)[:, : place + 1], prior(ids, condition)[:, : place + 1])


@law("prior", seed=SEEDS, batch=strategies.integers(2, 4), length=LENGTHS)
def neighbours_do_not_matter(prior: Prior, seed: int, batch: int, length: int) -> None:
    """A row of a ragged batch has the logits it has alone."""
    draw = Draw(seed, batch)
    ids, condition = draw.ragged(length), draw.condition()
    rows = int((ids[0] >= 0).sum()) + 1

    agree(prior(ids, condition)[:1, :rows], prior(ids[:1], condition[:1])[:, :rows])


@law("prior", seed=SEEDS, length=strategies.integers(0, LENGTH - 1))
def absent_ids_do_not_matter(prior: Prior, seed: int, length: int) -> None:
    """Absent ids at the right end leave the rows before them as they are."""
    draw = Draw(seed, 1)
    ids, condition = draw.ids(length), draw.condition()
    wide = torch.cat((ids, torch.full((1, LENGTH - length), -1)), 1)

    agree(prior(wide, condition)[:, : length + 1], prior(ids, condition))


@law("prior", seed=SEEDS, batch=BATCHES, length=LENGTHS)
def no_condition_is_minus_one(prior: Prior, seed: int, batch: int, length: int) -> None:
    """No condition and a condition of -1 are the same, for the full pass and for a session."""
    ids = Draw(seed, batch).ids(length)
    none = torch.full((batch,), -1)

    agree(prior(ids), prior(ids, none))
    agree(prior.open(ids, capacity=LENGTH, room=1).tip, prior.open(ids, none, capacity=LENGTH, room=1).tip)


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, LENGTH))
def a_session_opens_at_its_prompt(prior: Prior, seed: int, batch: int, prompt: int) -> None:
    """The tip of a new session is the full pass's row after the prompt, however ragged."""
    Draw(seed, batch).replay(prior, prompt).check_tip()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_chain_equals_the_full_pass(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """Ids in a chain, some rows shorter, get the full pass's logits."""
    draw = Draw(seed, batch)

    draw.replay(prior, prompt).extend(draw.ragged(width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_tree_equals_the_full_pass(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """Each node of a tree, another one in each row, gets the full pass's logits on its own path."""
    draw = Draw(seed, batch)

    draw.replay(prior, prompt).extend(draw.ids(width), draw.tree(0, width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, widths=strategies.tuples(*[strategies.integers(1, 2)] * 2))
def columns_are_numbered_on(prior: Prior, seed: int, batch: int, prompt: int, widths: tuple[int, ...]) -> None:
    """A later call's parents may name columns of earlier calls."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)

    for width in widths:
        replay.extend(draw.ids(width), draw.chain(replay.parents.shape[1], width))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, 2), width=strategies.integers(1, 3))
def an_absent_node_stands_for_its_parent(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """A chain goes on from the last id that is there, however many absent ones lie between."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)

    replay.extend(draw.ragged(width), draw.chain(0, width))
    for _ in range(3):
        replay.extend(draw.ragged(1))


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=WIDTHS)
def a_commit_moves_the_tip(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """After a commit, of another length in each row, the tip follows its last column; an empty one leaves it."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    replay.extend(draw.ids(width), draw.chain(0, width))

    replay.commit(draw.path(replay.parents, width))

    replay.check_tip()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=strategies.integers(0, 2), width=WIDTHS)
def a_commit_keeps_its_path_alone(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """After a commit, new nodes see the path and nothing else of the tree it was taken from."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    replay.extend(draw.ids(width), draw.tree(0, width))

    replay.commit(draw.path(replay.parents, 3))

    replay.extend(draw.ids(2), draw.chain(0, 2))


@law(
    "prior",
    seed=SEEDS,
    batch=BATCHES,
    prompt=strategies.integers(0, 1),
    kinds=strategies.tuples(*[strategies.booleans()] * 3),
)
def calls_in_any_order_equal_the_full_pass(
    prior: Prior, seed: int, batch: int, prompt: int, kinds: tuple[bool, ...]
) -> None:
    """Chains and trees with absent nodes, over several calls, with ragged commits between them."""
    draw = Draw(seed, batch)
    replay = draw.replay(prior, prompt)
    replay.check_tip()
    for chain in kinds:
        replay.extend(draw.ragged(2), None if chain else draw.tree(0, 2))
        replay.extend(draw.ragged(1), draw.tree(2, 1) if chain else None)
        replay.commit(draw.path(replay.parents, 2))
        replay.check_tip()


@law("prior", seed=SEEDS, batch=BATCHES, prompt=PROMPTS, width=strategies.integers(1, 4))
def shapes_alone_decide_the_work(prior: Prior, seed: int, batch: int, prompt: int, width: int) -> None:
    """Opening, extending and committing read no scalar on the host and make no shape from values."""
    draw = Draw(seed, batch)
    ids, condition, new, parents = draw.ragged(prompt), draw.condition(), draw.ragged(width), draw.tree(0, width)
    path = draw.path(parents, width)

    with Blind():  # type: ignore[no-untyped-call]
        session = prior.open(ids, condition, capacity=LENGTH, room=LENGTH)
        session.extend(new, parents)
        session.extend(new[:, :1])
        session.commit(path)


@law("prior", seed=SEEDS, batch=strategies.integers(2, 3))
def capacity_is_of_a_row(prior: Prior, seed: int, batch: int) -> None:
    """Capacity counts the ids a row has committed; past it a row's logits are NaN, and its neighbours' are sound."""
    draw = Draw(seed, batch)
    session = prior.open(draw.ids(1), capacity=2, room=3)
    for column in range(2):
        session.extend(draw.ids(3))
        session.commit(torch.tensor([[0, 1, 2], *[[0, -1, -1] if column == 0 else [-1] * 3] * (batch - 1)]))

    logits = torch.cat((session.tip[:, None], session.extend(draw.ids(3))), 1)

    assert logits[0].isnan().all(), "a row that outgrew its capacity has logits"
    assert logits[1:].amax(-1).isfinite().all(), "a row within its capacity has none"


LAWS = laws_in(globals())

_ANY = frozenset({calls_in_any_order_equal_the_full_pass.name})

OFFENDERS = (
    Offender(every_row_has_a_finite_maximum, plants.mute, also=frozenset({capacity_is_of_a_row.name})),
    Offender(later_ids_do_not_matter, plants.clairvoyant),
    Offender(neighbours_do_not_matter, plants.sociable),
    Offender(absent_ids_do_not_matter, plants.padded),
    Offender(no_condition_is_minus_one, plants.particular),
    Offender(a_session_opens_at_its_prompt, plants.late, also=_ANY),
    Offender(a_chain_equals_the_full_pass, plants.starry, also=_ANY),
    Offender(a_tree_equals_the_full_pass, plants.straight, also=_ANY | {a_commit_keeps_its_path_alone.name}),
    Offender(columns_are_numbered_on, plants.restarting, also=_ANY),
    Offender(an_absent_node_stands_for_its_parent, plants.filled, also=_ANY),
    Offender(a_commit_moves_the_tip, plants.stuck, also=_ANY | {capacity_is_of_a_row.name}),
    Offender(a_commit_keeps_its_path_alone, plants.forgetful, also=_ANY),
    Offender(calls_in_any_order_equal_the_full_pass, plants.tiring),
    Offender(shapes_alone_decide_the_work, plants.curious),
    Offender(capacity_is_of_a_row, plants.careless),
)

BENCH = Bench("prior", subject, LAWS, OFFENDERS)
