"""What every decoder refuses of a request, and what it makes of a session of its own kind."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from crt_ar.specs import LlamaGen
from crt_basics.decoders.specs import Ancestral
from crt_basics.priors.guided import Guided
from crt_basics.priors.table import TablePrior
from crt_verify import specs
from crtcore import Limits, Sampling
from crtcore.errors import PriorError
from crtcore.kinds import DecoderSpec, Request

DECODERS: list[DecoderSpec] = [
    Ancestral(),
    specs.SpeculativeDecoding(),
    specs.BlockVerification(),
    specs.SpecTr(),
    specs.RSDC(),
    specs.RSDS(),
    specs.TraversalVerification(),
    specs.GreedyTree(),
]
every_decoder = pytest.mark.parametrize("spec", DECODERS, ids=lambda spec: type(spec).__name__)


def table(seed: int) -> TablePrior:
    """A table over five ids that looks two back."""
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(torch.randn(3, 6**2, 5, generator=generator, dtype=torch.float64))


SOUND = Request(
    torch.tensor([[0, 1], [4, -1]]), Limits(length=4, stop=(2,)), Sampling(banned=(3,)), torch.tensor([-1, 1]),
    torch.tensor([7, 8]),
)  # fmt: skip
INT = torch.int64
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an id as large as the vocabulary": (
        {"prompt": torch.tensor([[0, 1], [5, -1]])}, "prompt, row 1: expected ids from 0 to 4",
    ),
    "another negative id": ({"prompt": torch.tensor([[0, 1], [4, -2]])}, "prompt, row 1: expected ids from 0 to 4"),
    "a row padded at the left": (
        {"prompt": torch.tensor([[0, 1], [-1, 4]])},
        r"prompt, row 1: expected absent ids \(-1\) at the right end alone: move the others to the left, got \[-1, 4\]",
    ),
    "a gap": (
        {"prompt": torch.tensor([[0, -1, 1], [4, 0, 0]])}, "prompt, row 0: expected absent ids",
    ),
    "a prompt of one axis": ({"prompt": torch.tensor([0, 1])}, "prompt: expected integers .* of shape .rows, ids."),
    "a prompt of floats": ({"prompt": torch.tensor([[0.0, 1], [4, 1]])}, "prompt: .* got torch.float32"),
    "a prompt of 32 bits": ({"prompt": SOUND.prompt.int()}, "prompt: expected integers .* got torch.int32"),
    "a list": ({"prompt": [[0, 1], [4, 1]]}, "prompt: expected integers .* got list"),
    "no prompt": ({"prompt": None}, "prompt: expected integers .* got None"),
    "a stop id as large as the vocabulary": (
        {"limits": Limits(length=4, stop=(2, 5))}, "limits.stop: expected ids below the vocabulary, 5, got 5",
    ),
    "a huge stop id": ({"limits": Limits(length=4, stop=(2**70,))}, "limits.stop: expected ids below the vocabulary"),
    "a banned id as large as the vocabulary": (
        {"sampling": Sampling(banned=(5,))}, "sampling.banned: expected ids below the vocabulary, 5, got 5",
    ),
    "every id banned": (
        {"sampling": Sampling(banned=(0, 1, 2, 3, 4))}, "sampling.banned: expected an id that may be drawn, got all 5",
    ),
    "one seed for two rows": (
        {"seeds": torch.tensor([7])}, r"seeds: .* of shape \(2,\), one for each row of the prompt, got .* \(1,\)",
    ),
    "a seed of no axis": ({"seeds": torch.tensor(7)}, r"seeds: .* one for each row .* of shape \(\)"),
    "three seeds for two rows": ({"seeds": torch.tensor([7, 8, 9])}, "seeds: .* one for each row"),
    "a column of seeds": ({"seeds": torch.tensor([[7], [8]])}, "seeds: .* one for each row"),
    "seeds of floats": ({"seeds": torch.tensor([7.0, 8.0])}, "seeds: expected integers"),
    "a number as seeds": ({"seeds": 7}, "seeds: expected integers .* got int"),
    "one class for two rows": ({"class_ids": torch.tensor([1])}, "class_ids: .* one for each row"),
    "a negative class": ({"class_ids": torch.tensor([-1, -2])}, "class_ids, row 1: expected a class, .* got -2"),
    "seeds elsewhere": ({"seeds": torch.empty(2, dtype=INT, device="meta")}, "seeds: expected the prompt's device"),
}  # fmt: skip


@every_decoder
def test_a_sound_request_is_drawn(spec: DecoderSpec) -> None:
    made = spec.build().generate(table(0), SOUND, draft=table(1))

    assert made.ids.shape == (2, 4)
    assert 3 not in made.ids


@every_decoder
@pytest.mark.parametrize("name", BAD)
def test_a_request_that_does_not_fit_is_refused_before_a_model_is_asked(spec: DecoderSpec, name: str) -> None:
    change, message = BAD[name]
    target = Closed()

    with pytest.raises(ValueError, match=message):
        spec.build().generate(target, SOUND._replace(**change), draft=target)
    with pytest.raises(ValueError, match=message):
        spec.build().distribution(target, SOUND._replace(**change), draft=target)


class Closed:
    """A prior over five ids that cannot be asked."""

    vocabulary = 5

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("was asked")

    open = __call__


@every_decoder
def test_more_ids_than_a_prior_has_positions_are_refused(spec: DecoderSpec) -> None:
    grid = LlamaGen(layers=1, width=8, heads=1).build(5, 9, 2)
    guided: Any = Guided(grid, scale=2.0)
    decoder = spec.build()
    prompt, class_ids = torch.tensor([[0, 1]] * 2), torch.tensor([0, 1])

    made = decoder.generate(guided, Request(prompt, Limits(length=7), class_ids=class_ids), draft=grid)

    assert (made.ids >= 0).all()
    for role, priors in {"target": (grid, table(0)), "draft": (table(0), grid)}.items():
        if role == "draft" and not spec.drafts:
            continue
        with pytest.raises(ValueError, match=f"at most 7, as the {role} has positions for 9 ids .* 2 wide, got 8"):
            decoder.generate(priors[0], Request(prompt, Limits(length=8), class_ids=class_ids), draft=priors[1])
    with pytest.raises(ValueError, match="positions for 9 ids"):
        decoder.generate(guided, Request(prompt, Limits(length=8), class_ids=class_ids), draft=grid)


@every_decoder
def test_rows_whose_possible_ids_are_all_banned_are_refused(spec: DecoderSpec) -> None:
    logits = torch.full((1, 6, 5), -math.inf)
    logits[..., 1] = 0
    request = SOUND._replace(class_ids=None, sampling=Sampling(banned=(1,)))

    with pytest.raises(PriorError, match=r"^target, row 0, step 0: expected logits with a finite maximum"):
        spec.build().generate(TablePrior(logits), request, draft=table(1))


class Strict:
    """A prior whose sessions refuse ids past the vocabulary, and whose row 1 has no distribution after its first id."""

    vocabulary = 5

    def __init__(self) -> None:
        self.prior = table(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.prior(*args, **kwargs)

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Any:
        self.session = self.prior.open(ids, class_ids, capacity=capacity, room=room)
        self.next_logits, self.commit = self.session.next_logits, self.committed
        return self

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        assert ((ids >= -1) & (ids < 5)).all()
        return self.session.extend(ids, parents).index_fill(0, torch.tensor(1), math.nan)

    def committed(self, path: Tensor) -> None:
        self.session.commit(path)
        self.next_logits = self.session.next_logits.index_fill(0, torch.tensor(1), math.nan)


@every_decoder
@pytest.mark.parametrize("role", ["target", "draft"])
def test_a_row_without_a_distribution_asks_for_no_id_that_is_not_there(spec: DecoderSpec, role: str) -> None:
    if role == "draft" and not spec.drafts:
        pytest.skip("it uses no draft")
    priors: dict[str, Any] = {"target": table(0), "draft": table(1)} | {role: Strict()}
    request = Request(torch.tensor([[0], [1]]), Limits(length=9))

    with pytest.raises(PriorError, match=rf"^{role}, row 1, step 1: expected logits with a finite maximum"):
        spec.build().generate(priors["target"], request, draft=priors["draft"])


class Forgetful:
    """A prior whose sessions drop what they are to commit, from some commit on."""

    vocabulary = 5

    def __init__(self, prior: TablePrior, after: int) -> None:
        self.prior, self.after = prior, after

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.prior(*args, **kwargs)

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Any:
        self.session, self.commits = self.prior.open(ids, class_ids, capacity=capacity, room=room), 0
        self.extend = self.session.extend
        return self

    @property
    def next_logits(self) -> Tensor:
        return self.session.next_logits

    def commit(self, path: Tensor) -> None:
        self.commits += 1
        self.session.commit(path if self.commits <= self.after else torch.full_like(path, -1))


@every_decoder
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("role", ["target", "draft"])
def test_a_session_that_forgets_to_commit_is_named(spec: DecoderSpec, after: int, role: str) -> None:
    if role == "draft" and not spec.drafts:
        pytest.skip("it uses no draft")
    request = Request(torch.tensor([[0], [1]]), Limits(length=15))
    priors: dict[str, Any] = {"target": table(0), "draft": table(1)}
    priors[role] = Forgetful(priors[role], after)

    with pytest.raises(
        PriorError, match=rf"^{role}, row \d, step {after + 1}: expected `commit` to move `next_logits`"
    ):
        spec.build().generate(priors["target"], request, draft=priors["draft"])


@every_decoder
def test_what_a_session_raises_passes_with_a_note_of_where(spec: DecoderSpec) -> None:
    class Own(Exception):
        pass

    class Raising(Forgetful):
        def commit(self, path: Tensor) -> None:
            raise Own("of mine")

    request, target = Request(torch.tensor([[0]]), Limits(length=9)), Raising(table(0), 9)
    with pytest.raises(Own) as caught:
        spec.build().generate(target, request, draft=table(1))  # type: ignore[arg-type]

    assert caught.value.args == ("of mine",)
    assert caught.value.__notes__ == ["raised by the session of the target at step 1"]


def test_a_draft_is_refused_where_ids_would_be_drawn_from_no_distribution() -> None:
    logits = table(1).logits.detach().clone()
    logits[:, 7:] = math.nan
    request = Request(torch.tensor([[0], [1]]), Limits(length=15))

    with pytest.raises(PriorError, match=r"^draft, row \d, step 1: expected logits with a finite maximum"):
        attrs.evolve(specs.RSDS(), width=2).build().generate(table(0), request, draft=TablePrior(logits))
