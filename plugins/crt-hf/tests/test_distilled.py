"""The prior of a distilled draft: its laws, its logits beside those that drafts have in `generate`, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crt_ar.llama.files import read_llama
from crt_hf import DistilledDraft
from crt_hf.as_read import AsRead
from crt_hf.distilled import Distilled, small
from crt_hf.draft_ids import NAME, read_draft_ids
from crt_hf.translated import Intersection, Translated
from crt_laws import obeys
from crtcore.errors import RunError

test_the_example = obeys(DistilledDraft(folder="set by the laws"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return Path(small(tmp_path / "draft"))


def built(folder: Path) -> Distilled:
    prior = DistilledDraft(folder=str(folder)).build(5, 16, None)
    assert isinstance(prior, Distilled)
    return prior


def test_its_logits_are_those_of_the_draft_that_generation_reads(folder: Path) -> None:
    network = read_llama(folder)
    own = read_draft_ids(folder, network.vocabulary)
    assert own is not None
    usual = Translated(AsRead(network), Intersection(*own.common, vocabulary=5, unknown=0))
    ids = torch.tensor([[1, 0, 3, 4, 2, 0], [3, 3, 1, 0, -1, -1]])

    torch.testing.assert_close(built(folder)(ids)[:, 1:], usual(ids)[:, 1:])


def test_its_session_can_keep_some_rows_alone(folder: Path) -> None:
    prior, ids = built(folder), torch.tensor([[1, 0, 3], [4, 2, -1], [3, 3, 0]])

    session = prior.open(ids, capacity=8, room=4)
    session.narrow(torch.tensor([1]))

    logits = session.extend(torch.tensor([[3, 0]]))
    torch.testing.assert_close(logits, prior(torch.tensor([[4, 2, 3, 0]]))[:, 3:])


def test_it_never_proposes_an_id_that_it_does_not_have(folder: Path) -> None:
    logits = built(folder)(torch.tensor([[0, 1, 2, 3, 4]]))

    assert (logits == -torch.inf).nonzero()[:, 2].unique().tolist() == [1, 2]
    assert logits[..., [0, 3, 4]].isfinite().all()


def test_a_folder_without_the_ids_of_a_draft_is_refused(folder: Path) -> None:
    (folder / NAME).unlink()

    with pytest.raises(RunError, match=r"expected a draft of `crt distill`, with draft\.json, got none"):
        built(folder)


def test_data_of_another_tokenizer_are_refused(folder: Path) -> None:
    with pytest.raises(RunError, match=r"expected data of a tokenizer with 5 ids, .* got 6"):
        DistilledDraft(folder=str(folder)).build(6, 16, None)
