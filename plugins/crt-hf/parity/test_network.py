"""Models of transformers through the prior `huggingface`, and by their own forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import CONFIGS, small
from torch import Tensor

from crt_hf.network import LanguageModel
from crt_hf.spec import HuggingFace
from crtcore.errors import RunError

START, CLOSE = 1, {"rtol": 1e-4, "atol": 1e-4}
FAMILIES = pytest.mark.parametrize("family", CONFIGS)
STARTS = pytest.mark.parametrize("start", [START, None], ids=["start id", "no start id"])


def rows(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(3, 61, (batch, length), generator=torch.Generator().manual_seed(seed))


@FAMILIES
@torch.no_grad()
def test_a_folder_has_the_logits_of_the_models_own_pass_in_float32(family: str, tmp_path: Path) -> None:
    model = small(family)
    model.save_pretrained(tmp_path)
    ids = rows(3, 20)

    prior = HuggingFace(folder=str(tmp_path)).build(61, 0, None)

    read = torch.cat((torch.full((3, 1), START), ids), 1)
    torch.testing.assert_close(prior(ids), model(read).logits, **CLOSE)
    torch.testing.assert_close(prior(read)[:, 1:], model(read).logits, **CLOSE)  # the id is its own first position


@FAMILIES
@torch.no_grad()
def test_without_a_start_id_rows_are_read_as_they_are(family: str) -> None:
    model = small(family)
    ids = rows(3, 20)

    logits = LanguageModel(model, start=None)(ids)

    torch.testing.assert_close(logits[:, 1:], model(ids).logits, **CLOSE)
    assert (logits[:, 0] == logits[0, 0, 0]).all()


@STARTS
@FAMILIES
@torch.no_grad()
def test_trees_and_commits_have_the_logits_of_the_models_own_pass_in_float32(family: str, start: int | None) -> None:
    model = small(family)
    prior = LanguageModel(model, start=start)
    prompt = rows(3, 9)
    prompt[0, 6:], prompt[2, 3:] = -1, -1
    session = prior.open(prompt, capacity=40, room=8)
    known = [[x for x in row if x >= 0] for row in prompt.tolist()]

    def expected(row: list[int]) -> Tensor:
        return model(torch.tensor([[start, *row] if start is not None else row])).logits[0, -1]

    for round_ in range(4):  # beyond the windows
        new = rows(3, 6, seed=round_)
        parents = torch.tensor([[-1, -1, 0, 2, 1, 3], [-1, 0, 1, 2, 3, 4], [-1, -1, -1, 0, 0, 1]])
        logits = session.extend(new, parents)
        paths: list[list[list[int]]] = []
        for row, line in enumerate(parents.tolist()):
            paths.append([])
            for column, parent in enumerate(line):
                above = paths[row][parent] if parent >= 0 else []
                paths[row].append([*above, int(new[row, column])])
                torch.testing.assert_close(logits[row, column], expected(known[row] + paths[row][-1]), **CLOSE)
        session.commit(torch.tensor([[0, 2, 3], [0, 1, -1], [1, 5, -1]]))
        known = [each + path[last] for each, path, last in zip(known, paths, (3, 1, 5), strict=True)]
        for row, each in enumerate(known):
            torch.testing.assert_close(session.next_logits[row], expected(each), **CLOSE)


def test_a_model_that_no_tree_can_be_read_with_is_refused() -> None:
    flex = small("llama")
    flex.config._attn_implementation = "flex_attention"
    for model, message in (
        (flex, "expected attention by sdpa or eager, .* got 'flex_attention'"),
        (small("llama").train(), r"expected a model in evaluation, as dropout is random; call model\.eval\(\)"),
        (
            small("llama", rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "got 'dynamic', whose angles depend",
        ),
        (
            small("gemma3", use_bidirectional_attention=True),
            "reads from left to right, got use_bidirectional_attention",
        ),
    ):
        with pytest.raises(RunError, match=message):
            LanguageModel(model, start=None)


def test_another_family_is_refused_by_name() -> None:
    import transformers

    model = transformers.AutoModelForCausalLM.from_config(
        transformers.MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1)
    ).eval()

    with pytest.raises(RunError, match=r"expected a model_type of .*gemma, .*, got 'mamba'"):
        LanguageModel(model, start=None)


def test_reading_a_model_changes_nothing_of_it() -> None:
    model = small("llama")

    LanguageModel(model, start=None)

    assert all(parameter.requires_grad for parameter in model.parameters())
