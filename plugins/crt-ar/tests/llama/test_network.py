import pytest
import torch
from torch import Tensor

from crt_ar import Llama
from crt_ar.llama.network import LlamaTransformer
from crt_run.likelihood import nats

IDS = torch.tensor([[0, 3, 1, 4], [2, 2, 0, 1]])


def built(classes: int | None = None) -> LlamaTransformer:
    """Returns a prior with random weights, as an untied output layer starts at 0."""
    torch.manual_seed(0)
    spec = Llama(size="Llama-3.1-8B", layers=2, width=16, heads=4, key_heads=2, hidden=24, start=2)
    prior = spec.build(5, 0, classes).requires_grad_(False)
    for parameter in prior.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


def test_row_0_follows_the_start_id_alone() -> None:
    prior = built()
    inputs_seen: list[Tensor] = []
    prior.stack.register_forward_pre_hook(lambda _, inputs: inputs_seen.append(inputs[0]))

    prior(IDS[:, :0])

    assert torch.equal(inputs_seen[0], prior.embedding.weight[None, [2]].expand(2, -1, -1))


def test_a_class_takes_the_place_of_the_start_id() -> None:
    prior = built(classes=3)

    logits = prior(IDS, torch.tensor([1, -1]))

    assert not torch.allclose(logits[0], prior(IDS)[0])
    assert torch.equal(logits[1], prior(IDS)[1])


def test_a_prior_without_classes_refuses_class_ids() -> None:
    prior = built()

    with pytest.raises(ValueError, match="expected no class ids, as this prior was built without classes"):
        prior(IDS, torch.tensor([0, 1]))


def test_logits_come_from_the_last_hidden_state() -> None:
    prior = built()

    states = prior.hidden(IDS)

    torch.testing.assert_close(prior.logits(states), prior(IDS)[:, 1:])


def test_an_untied_output_layer_starts_uniform() -> None:
    prior = Llama(size="Llama-3.1-8B", layers=1, width=16, heads=4, key_heads=2, hidden=24).build(5, 0, None)

    torch.testing.assert_close(nats(prior, IDS, None), torch.full((2,), 4 * torch.tensor(5.0).log()))


def test_a_session_caches_the_key_heads_alone() -> None:
    session = built().open(IDS, capacity=6, room=2)

    shelves = [shelf.shape for shelves in session._cache._tensors.values() for shelf in shelves]

    # rows, a start and 8 slots, 2 heads of keys and 2 of values, 4 channels; two layers
    assert shelves == [(2, 9, 4, 4)] * 2


def test_bfloat16_is_near_and_its_session_agrees_with_its_full_pass() -> None:
    prior = built()
    expected = prior(IDS)
    prior = prior.bfloat16()

    logits = prior(IDS)
    session = prior.open(IDS[:, :2], capacity=4, room=2)
    extended = session.extend(IDS[:, 2:])

    room = torch.finfo(torch.bfloat16).eps ** 0.575
    torch.testing.assert_close(logits.float(), expected, rtol=room, atol=room)
    torch.testing.assert_close(session.next_logits, logits[:, 2], rtol=room, atol=room)
    torch.testing.assert_close(extended, logits[:, 3:], rtol=room, atol=room)


def test_recomputation_changes_no_bit_of_a_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        spec = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24, recompute=recompute)
        prior = spec.build(5, 0, None)
        nats(prior, IDS, None).sum().backward()
        gradients.append([weight.grad for weight in prior.parameters()])

    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True) if one is not None)
    assert all(one is not None for one in gradients[0])
