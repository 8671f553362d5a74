"""Guidance: its equation, where it applies, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crt_basics.priors.guided import Guided
from crt_basics.priors.saved import write_run
from crt_basics.priors.specs import Guidance, Saved, Table
from crt_basics.priors.table import TablePrior
from crt_laws import obeys
from crtcore import FieldError
from crtcore.errors import RunError

SAVED = Saved(run="the laws bring their own", prior=Table(order=1))

test_a_guided_table = obeys(Guidance(scale=2.5, prior=SAVED))
test_a_table_guided_at_some_positions = obeys(Guidance(scale=0.5, interval=(2, 4), prior=SAVED))
test_a_guided_table_that_is_itself = obeys(Guidance(scale=1.0, prior=SAVED))

IDS = torch.tensor([[0, 3, 1], [2, 2, 0]])
CLASSES = torch.tensor([0, 2])


def table() -> TablePrior:
    torch.manual_seed(0)
    return Table(order=1).build(4, 9, 3).requires_grad_(False)


@pytest.mark.parametrize("scale", [0.0, 0.5, 4.0])
def test_logits_are_those_of_the_equation(scale: float) -> None:
    prior = table()

    logits = Guided(prior, scale=scale)(IDS, CLASSES)

    free, given = prior(IDS), prior(IDS, CLASSES)
    torch.testing.assert_close(logits, free + scale * (given - free), rtol=1e-12, atol=1e-12)


def test_scale_1_is_the_prior_itself_bit_for_bit() -> None:
    prior = table()
    guided = Guided(prior, scale=1)

    assert torch.equal(guided(IDS, CLASSES), prior(IDS, CLASSES))
    assert torch.equal(
        guided.open(IDS, CLASSES, capacity=3, room=0).next_logits,
        prior.open(IDS, CLASSES, capacity=3, room=0).next_logits,
    )


@pytest.mark.parametrize(
    ("interval", "guided"), [((0, 0), [0, 1, 2, 3]), ((1, 3), [1, 2]), ((2, 0), [2, 3]), ((0, 1), [0]), ((7, 9), [])]
)
def test_only_positions_in_the_interval_are_guided(interval: tuple[int, int], guided: list[int]) -> None:
    prior = table()

    logits = Guided(prior, scale=3, interval=interval)(IDS, CLASSES)

    others = (logits == prior(IDS, CLASSES)).all(-1)
    assert (~others).nonzero().tolist() == [[row, position] for row in (0, 1) for position in guided]


def test_an_id_that_either_law_rules_out_has_the_condition_s_logit() -> None:
    prior = table()
    prior.logits[:3, :, 1] = -torch.inf  # of every class
    prior.logits[3, :, 2] = -torch.inf  # of no class

    logits = Guided(prior, scale=3)(IDS, CLASSES)

    assert (logits[..., 1] == -torch.inf).all()
    assert torch.equal(logits[..., 2], prior(IDS, CLASSES)[..., 2])
    assert logits[..., [0, 3]].isfinite().all()


def test_a_guided_prior_moves_and_turns_with_the_one_inside() -> None:
    guided = Guided(table(), scale=3)

    assert [name for name, _ in guided.named_parameters()] == ["prior.logits"]


def test_a_spec_guides_the_prior_inside(tmp_path: Path) -> None:
    prior = table()
    run = write_run(tmp_path, {"part.prior.logits": prior.logits})
    spec = Guidance(scale=2, interval=(1, 2), prior=Saved(run=str(run), prior=Table(order=1)))

    logits = spec.build(4, 9, 3)(IDS, CLASSES)

    assert torch.equal(logits, Guided(prior, scale=2, interval=(1, 2))(IDS, CLASSES))


def test_data_without_classes_are_refused() -> None:
    with pytest.raises(RunError, match="guided: expected data with classes, got data without"):
        Guidance(scale=2, prior=SAVED).build(4, 9, None)


@pytest.mark.parametrize("interval", [(-1, 0), (3, 3), (3, 2), (0, -1)])
def test_an_interval_that_holds_nothing_is_refused(interval: tuple[int, int]) -> None:
    with pytest.raises(FieldError, match="interval: expected two positions, the second beyond the first or 0, got"):
        Guidance(scale=2, interval=interval, prior=SAVED)
