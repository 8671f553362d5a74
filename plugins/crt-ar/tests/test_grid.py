"""The transformer over a grid: its sizes, its first values, and dropout in training."""

import math
import subprocess
import sys
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_ar import LlamaGen
from crt_ar.grid import GridTransformer
from crt_ar.sizes import Size
from crtcore import Noise
from crtcore.errors import RunError

TINY: dict[str, Any] = {"layers": 2, "width": 8, "heads": 2}
STILL: dict[str, Any] = {
    "token_dropout": 0.0, "residual_dropout": 0.0, "feed_forward_dropout": 0.0, "label_dropout": 0.0,
}  # fmt: skip
IDS = torch.tensor([[0, 3, 1, 4], [2, 2, 0, 1]])
CLASSES = torch.tensor([0, 2])


def built(*, seed: int = 0, **fields: Any) -> GridTransformer:
    """Returns a prior with random weights, as all logits start at 0."""
    torch.manual_seed(seed)
    prior = LlamaGen(**TINY | fields).build(5, 4, 3).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


def noise(first: int = 0) -> Noise:
    """A seed for each row, counted from `first`."""
    return Noise(torch.tensor([first, first + 1]), "test")


def loss(prior: GridTransformer, noise: Noise | None = None) -> Tensor:
    return functional.cross_entropy(prior(IDS, CLASSES, noise=noise)[:, :-1].flatten(0, 1), IDS.flatten())


@pytest.mark.parametrize("size", [size for size in get_args(Size) if size.endswith(("M", "1.4B", "3.1B"))])
def test_a_size_has_the_number_of_parameters_of_its_name(size: Size) -> None:
    with torch.device("meta"):
        prior = LlamaGen(size=size).build(16384, 256, 1000)

    count = sum(parameter.numel() for parameter in prior.parameters())

    assert (f"{count / 1e6:.0f}M" if count < 1e9 else f"{count / 1e9:.1f}B") == size


@pytest.mark.parametrize(
    ("letter", "size"), [("B", "111M"), ("L", "343M"), ("XL", "775M"), ("XXL", "1.4B"), ("3B", "3.1B")]
)
def test_a_letter_is_another_name_of_a_size(letter: Size, size: Size) -> None:
    assert LlamaGen(size=letter).shape == LlamaGen(size=size).shape


@pytest.mark.parametrize("length", [0, 3, 8])
def test_ids_that_fill_no_square_are_refused(length: int) -> None:
    with pytest.raises(RunError, match=f"llamagen: expected a square number of ids, .*, got {length}"):
        LlamaGen(**TINY).build(5, length, 3)


def test_the_loss_starts_at_ln_v() -> None:
    prior = LlamaGen(**TINY).build(5, 4, 3)

    assert loss(prior).item() == pytest.approx(math.log(5), rel=1e-7)


def test_a_prior_without_classes_refuses_class_ids() -> None:
    prior = LlamaGen(**TINY).build(5, 4, None)

    with pytest.raises(ValueError, match="expected no class ids, as this prior was built without classes, got some"):
        prior(IDS, CLASSES)


def test_hidden_states_give_the_logits_after_their_ids() -> None:
    prior = built().eval()

    states = prior.hidden(IDS, CLASSES)

    torch.testing.assert_close(prior.logits(states), prior(IDS, CLASSES)[:, 1:])


def test_without_noise_nothing_is_dropped_in_training() -> None:
    prior, still = built().train(), built(**STILL)

    assert torch.equal(prior(IDS, CLASSES), still(IDS, CLASSES, noise=noise()))


def test_it_keeps_no_state_but_its_weights() -> None:
    prior = built()

    assert list(prior.buffers()) == []
    assert set(prior.state_dict()) == {name for name, _ in prior.named_parameters()}


def test_a_session_drops_nothing_even_in_training() -> None:
    prior = built().train()

    session = prior.open(IDS, CLASSES, capacity=4, room=0)

    torch.testing.assert_close(session.next_logits, prior.eval()(IDS, CLASSES)[:, -1])


@pytest.mark.parametrize("field", sorted(STILL))
def test_each_dropout_changes_logits_at_each_step_of_training(field: str) -> None:
    prior = built(**STILL | {field: 0.5}).train()

    first, second, third = (prior(IDS, CLASSES, noise=noise(2 * step)).detach() for step in range(3))

    assert not (torch.equal(first, second) and torch.equal(second, third))


def test_labels_are_dropped_at_the_rate_of_the_spec() -> None:
    prior = built(**STILL | {"label_dropout": 0.25})
    with_class, without = prior.eval()(IDS[:1, :0], CLASSES[:1]), prior(IDS[:1, :0])
    many = torch.zeros(4000, 0, dtype=torch.int64), torch.zeros(4000, dtype=torch.int64)

    logits = prior.train()(*many, noise=Noise(torch.arange(4000), "test")).detach()[:, 0]

    dropped = torch.isclose(logits, without[0, 0]).all(-1)
    assert torch.isclose(logits[~dropped], with_class[0, 0]).all()
    assert abs(int(dropped.sum()) - 1000) < 140  # 5 standard deviations of 27.4: 6e-7 by the normal distribution


def test_what_a_row_drops_depends_on_its_seed_alone() -> None:
    together = built().train()(IDS, CLASSES, noise=noise())

    alone = built().train()(IDS[1:], CLASSES[1:], noise=Noise(torch.tensor([1]), "test"))

    torch.testing.assert_close(together[1:], alone, rtol=1e-9, atol=1e-9)


def test_recomputation_changes_no_bit_of_a_gradient() -> None:
    once, twice = built(), built(recompute=True)

    for prior in (once, twice):
        loss(prior, noise()).backward()  # type: ignore[no-untyped-call]

    for one, other in zip(once.parameters(), twice.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_training_learns_a_pattern_in_bfloat16() -> None:
    prior = LlamaGen(**TINY | STILL).build(5, 9, 2)
    ids = torch.tensor([[0, 1, 2, 3, 4, 0, 1], [4, 3, 2, 1, 0, 4, 3]])  # up in class 0, down in class 1
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)

    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            cost = functional.cross_entropy(prior(ids, torch.tensor([0, 1]))[:, :-1].flatten(0, 1), ids.flatten())
        cost.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert cost.item() < math.log(5) / 4


COMPILED = """\
import torch
from crt_ar import LlamaGen
from crtcore import Noise

def built():
    torch.manual_seed(0)
    prior = LlamaGen(layers=2, width=8, heads=2).build(5, 4, 3)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return prior

eager, compiled, graphs = built(), built(), []
ids, classes = torch.tensor([[0, 3, 1, 4], [2, 2, 0, 1]]), torch.tensor([0, 2])
compiled(ids, classes)  # attention chooses its backend in the first call
compiled.compile(backend=lambda graph, _: graphs.append(graph) or graph.forward, fullgraph=True)
for step in range(3):
    noise = Noise(torch.tensor([step, 9]), "test")
    assert torch.equal(compiled(ids, classes, noise=noise), eager(ids, classes, noise=noise))
assert len(graphs) == 1, len(graphs)
"""
"""Run by itself, as checks of types at run time cannot be compiled."""


def test_noise_is_compiled_in_one_graph_for_all_blocks_and_steps() -> None:
    ended = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
