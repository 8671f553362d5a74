import pytest
import torch

from crt_ar import Llama
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.shape import SHAPES, LlamaSize
from crtcore import FieldError
from crtcore.errors import RunError


@pytest.mark.parametrize(
    ("size", "parameters"),  # what the hub shows for meta-llama's models
    [("Llama-3.2-1B", 1_235_814_400), ("Llama-3.2-3B", 3_212_749_824), ("Llama-3.1-8B", 8_030_261_248)],
)
def test_shapes_have_the_published_numbers_of_parameters(size: LlamaSize, parameters: int) -> None:
    with torch.device("meta"):
        prior = LlamaTransformer(SHAPES[size], 128_256, None, start=128_000)

    assert sum(weight.numel() for weight in prior.parameters()) == parameters


def test_fields_override_the_size() -> None:
    shape = Llama(size="Llama-3.1-8B", layers=2, hidden=48).shape

    assert shape == SHAPES["Llama-3.1-8B"]._replace(layers=2, hidden=48)


def test_heads_of_an_odd_width_are_refused() -> None:
    with pytest.raises(FieldError, match="heads: expected heads of an even whole width, got 2048 / 2048"):
        Llama(heads=2048)


def test_heads_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(FieldError, match=r"key_heads: expected a divisor of heads \(32\), got 3"):
        Llama(key_heads=3)


def test_a_start_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(RunError, match="llama: expected a start id from 0 to 4, got 7"):
        Llama(layers=1, width=8, heads=2, key_heads=1, hidden=8, start=7).build(5, 0, None)
