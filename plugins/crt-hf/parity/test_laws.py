"""The laws of priors on small random models of every family."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from small_models import CONFIGS, small

from crt_hf.families import FAMILIES
from crt_hf.spec import HuggingFace
from crt_laws import obeys

pytestmark = pytest.mark.slow


@attrs.frozen(kw_only=True)
class Small(HuggingFace):
    """A small random model of a family, in the place of a folder's."""

    family: str

    def example_in(self, folder: Path) -> HuggingFace:
        small(self.family, vocab_size=5, initializer_range=0.02).save_pretrained(folder / "model")
        return HuggingFace(folder=str(folder / "model"))


test_the_example = obeys(HuggingFace(folder="set by the laws"))
test_llama = obeys(Small(folder="set by the laws", family="llama, yarn"))
test_qwen2 = obeys(Small(folder="set by the laws", family="qwen2, windows"))
test_qwen3 = obeys(Small(folder="set by the laws", family="qwen3"))
test_mistral = obeys(Small(folder="set by the laws", family="mistral, window"))
test_smollm3 = obeys(Small(folder="set by the laws", family="smollm3"))
test_gpt2 = obeys(Small(folder="set by the laws", family="gpt2"))
test_gemma = obeys(Small(folder="set by the laws", family="gemma"))
test_gemma2 = obeys(Small(folder="set by the laws", family="gemma2"))
test_gemma3 = obeys(Small(folder="set by the laws", family="gemma3"))
test_cohere = obeys(Small(folder="set by the laws", family="cohere"))
test_gpt_neox = obeys(Small(folder="set by the laws", family="gpt_neox"))
test_granite = obeys(Small(folder="set by the laws", family="granite"))
test_olmo2 = obeys(Small(folder="set by the laws", family="olmo2"))
test_olmo3 = obeys(Small(folder="set by the laws", family="olmo3"))
test_phi3 = obeys(Small(folder="set by the laws", family="phi3"))
test_stablelm = obeys(Small(folder="set by the laws", family="stablelm"))
test_starcoder2 = obeys(Small(folder="set by the laws", family="starcoder2"))


def test_every_family_is_here() -> None:
    here = {each.partition(",")[0] for each in CONFIGS}

    assert {f"test_{family}" for family in here} <= set(globals())
    assert {CONFIGS[each]().model_type for each in CONFIGS} == FAMILIES.keys()
