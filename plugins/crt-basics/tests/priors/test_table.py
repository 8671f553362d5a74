import pytest
import torch

from crt_basics.priors.specs import Table
from crt_basics.priors.table import TablePrior


def counted(contexts: int, vocabulary: int, classes: int = 0) -> TablePrior:
    """Each logit is its own place in the table."""
    shape = classes + 1, contexts, vocabulary
    return TablePrior(torch.arange(shape[0] * contexts * vocabulary, dtype=torch.float64).view(shape))


def test_a_context_is_a_number_with_the_latest_id_as_its_last_digit() -> None:
    table = counted(contexts=9, vocabulary=2)

    rows = table(torch.tensor([[1, 0, 1]]))[0, :, 0] / 2

    assert rows.tolist() == [2 * 3 + 2, 2 * 3 + 1, 1 * 3 + 0, 0 * 3 + 1]  # 2 stands before the first id


def test_the_last_part_of_the_table_is_unconditional() -> None:
    table = counted(contexts=1, vocabulary=2, classes=2)

    logits = table(torch.empty(4, 0, dtype=torch.int64), torch.tensor([0, 1, -1, 0]))

    assert logits[:, 0, 0].tolist() == [0, 2, 4, 0]


def test_a_condition_is_refused_by_a_table_without_classes() -> None:
    with pytest.raises(ValueError, match="expected no class ids, as this prior was built without classes"):
        counted(contexts=1, vocabulary=2)(torch.zeros(1, 1, dtype=torch.int64), torch.tensor([-1]))


def test_contexts_must_be_a_power() -> None:
    with pytest.raises(ValueError, match="expected a power of 3 contexts, got 4"):
        counted(contexts=4, vocabulary=2)


def test_a_spec_says_how_far_its_logits_spread() -> None:
    torch.manual_seed(0)

    table = Table(order=4, spread=3.0).build(4, 8, None)

    # 2,500 normal values: the deviation is off by over 0.21 with probability below 1e-6 (4.9 standard errors)
    assert abs(table.logits.std().item() - 3.0) < 0.21
