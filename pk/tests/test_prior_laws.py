"""The laws of priors hold for tables, and each offender breaks its own."""

import pytest
import torch

from crt_basics.priors.specs import Table
from crt_basics.priors.table import TablePrior
from crt_laws import Law, Offender, obeys
from crt_laws.laws.prior import BENCH

test_a_table_of_single_ids = obeys(Table(order=0))
test_a_table_of_two_ids_before = obeys(Table(order=2))


def breaks(law: Law, prior: object, examples: int) -> bool:
    try:
        law.attempt(prior, examples)
    except (AssertionError, ExceptionGroup):
        return True
    return False


@pytest.mark.parametrize("law", BENCH.laws, ids=lambda law: law.name)
def test_a_law_holds_for_a_table_with_impossible_ids(law: Law) -> None:
    table = BENCH.subject(Table(order=1))
    assert isinstance(table, TablePrior)
    table.logits.data[:, ::2, 1:3] = -torch.inf

    assert law.attempt(table).checks > 0


@pytest.mark.parametrize("offender", BENCH.offenders, ids=lambda offender: offender.law.name)
def test_an_offender_breaks_its_law_and_no_other(offender: Offender) -> None:
    prior = offender.plant(BENCH.subject(Table(order=2)))

    broken = {law.name for law in BENCH.laws if breaks(law, prior, 25)}

    assert broken == {offender.law.name} | offender.also


def test_every_law_has_an_offender() -> None:
    assert sorted(offender.law.name for offender in BENCH.offenders) == sorted(law.name for law in BENCH.laws)
