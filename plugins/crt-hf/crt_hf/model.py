"""A model, its tokenizer and its generation config, as generation uses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from crt_ar.llama.files import read_llama
from crt_hf import draft_ids, families
from crt_hf.as_read import AsRead
from crt_hf.folder import (
    GENERATION,
    check_dtype,
    checked,
    has_tokenizer,
    read_config,
    read_model,
    read_table,
    read_tokenizer,
)
from crt_hf.kept import Kept
from crt_hf.network import LanguageModel
from crt_hf.translated import Intersection, Translated
from crt_nn.packed import pack
from crtcore.errors import RunError


class Reader(NamedTuple):
    """A prior that reads prompts as they are, and what runs it."""

    role: Literal["target", "draft"]
    prior: Any
    """A prior with a vocabulary, `longest` and, for a model, `embedding`."""
    ran: str
    device: torch.device


class Model:
    """A model in a folder, whose weights are read once they are needed, or one of transformers.

    Models that crt-ar reads run by its own network, others by that of transformers.
    """

    def __init__(
        self, source: Any, *, dtype: str = "auto", tokenizer: Any = None, pack: bool = True, keep: bool = False
    ) -> None:
        """`source` is a folder or a `PreTrainedModel`.

        With `keep`, a prompt that goes on from the last one and the ids after it, as the next turn of a chat does, is
        read from there on; for one prompt at a time, and in one thread.

        On a CPU, crt-ar's network has its weights packed beside those it reads, which takes as much memory again and
        makes steps faster; with `pack` False it has not.
        Raises: RunError if it is a folder without a model that is supported, or there is no such type.
        """
        check_dtype(dtype)
        self.folder: Path | None = None
        self.distilled: draft_ids.DraftIds | None = None
        """Which of a target's ids it has, if `crt distill` made it."""
        self._prior: AsRead | LanguageModel | None = None
        self._keep = keep
        self._kept: dict[str, Kept] = {}
        """One for each role, as a draft's session holds other ids than its target's though the model is the same."""
        self._ran = "transformers ({}; given as a model)"
        self._tokenizer, self._dtype, self._pack = tokenizer, dtype, pack
        if isinstance(source, str | Path):
            self.folder = checked(source)
            self.config = read_config(self.folder)
            self.distilled = draft_ids.read_draft_ids(self.folder, self.config.vocab_size)
            path = self.folder / GENERATION
            self.defaults: Mapping[str, Any] = read_table(path) if path.exists() else {}
            if "eos_token_id" not in self.defaults:
                self.defaults = {**self.defaults, "eos_token_id": self.config.eos_token_id}
        elif hasattr(source, "generation_config") and hasattr(source, "get_output_embeddings"):
            self.config, self._prior = source.config, LanguageModel(source, start=None)
            self.defaults = source.generation_config.to_dict()
        else:
            raise RunError(f"generate: expected a folder or a model of transformers, got {type(source).__name__}")

    @property
    def has_tokenizer(self) -> bool:
        """Whether ids have a text: a tokenizer was given, or is in the folder."""
        return self._tokenizer is not None or (self.folder is not None and has_tokenizer(self.folder))

    @property
    def tokenizer(self) -> Any:
        """The tokenizer.

        Raises: RunError if there is none.
        """
        if self._tokenizer is None:
            if self.folder is None:
                raise RunError("generate: expected tokenizer=..., as the model is given without a folder, or ids")
            self._tokenizer = read_tokenizer(self.folder)
        return self._tokenizer

    def reader(self, role: Literal["target", "draft"]) -> Reader:
        """The prior that reads prompts as they are.

        Raises: RunError if the weights cannot be read, or a distilled draft is to be the target.
        """
        if role == "target" and self.distilled is not None:
            raise RunError(f"generate: {self.folder}: expected a target, got a distilled draft, which has the ids that "
                           "its target writes most often alone; name it as the draft")  # fmt: skip
        if self._prior is None:
            assert self.folder is not None
            self._prior, self._ran = self._read(self.folder)
        weight = self._prior.embedding.weight
        prior = self._kept.setdefault(role, Kept(self._prior)) if self._keep else self._prior
        return Reader(role, prior, self._ran.format(str(weight.dtype).removeprefix("torch.")), weight.device)

    def drafting_for(self, target: Model) -> Reader:
        """The prior that drafts for a target: over the tokens that both have, if their vocabularies differ.

        Raises: RunError if they differ and a tokenizer is missing, or they have no token in common.
        """
        reader, sizes = self.reader("draft"), (self.config.vocab_size, target.config.vocab_size)
        if self.distilled is not None:
            return self._distilled_for(target, reader, self.distilled)
        if not (self.has_tokenizer and target.has_tokenizer):
            if sizes[0] != sizes[1]:
                raise RunError(
                    f"generate: draft: expected a model over the target's {sizes[1]} ids, or tokenizers of both, by "
                    f"which tokens are compared, got {sizes[0]} ids"
                )
            return reader
        theirs, own = target.tokenizer.get_vocab(), self.tokenizer.get_vocab()
        if sizes[0] == sizes[1] and theirs == own:
            return reader
        known = {token: x for token, x in own.items() if x < sizes[0]}
        kept = (self.tokenizer.unk_token_id, self.tokenizer.eos_token_id)
        unknown = next((x for x in kept if x is not None and x < sizes[0]), 0)  # one may be added behind the model's
        try:
            common = Intersection(theirs, known, vocabulary=sizes[1], unknown=unknown)
        except ValueError as error:
            raise RunError(f"generate: draft: {error}; name a draft with a similar tokenizer") from None
        ran = f"{reader.ran}, over the {common.size} tokens that it has of the target's {sizes[1]}"
        return reader._replace(prior=Translated(reader.prior, common), ran=ran)

    def _distilled_for(self, target: Model, reader: Reader, own: draft_ids.DraftIds) -> Reader:
        vocabulary = target.config.vocab_size
        same = not (self.has_tokenizer and target.has_tokenizer) or self.tokenizer.get_vocab() == (
            target.tokenizer.get_vocab()
        )
        if own.vocabulary != vocabulary or not same:
            raise RunError(
                f"generate: draft: {self.folder} was distilled from a model with {own.vocabulary} ids, expected the "
                f"same tokenizer, got one with {vocabulary} ids; distil a draft from this target"
            )
        common = Intersection(*own.common, vocabulary=vocabulary, unknown=0)
        ran = f"{reader.ran}, over the {common.size} ids that it has of the target's {vocabulary}"
        return reader._replace(prior=Translated(reader.prior, common), ran=ran)

    def _read(self, folder: Path) -> tuple[AsRead | LanguageModel, str]:
        try:
            if (size := families.window(self.config)) is not None:
                raise RunError(f"expected positions without a window, got one of {size}")
            own = read_llama(folder)
        except RunError as error:
            why = f"crt-ar: {error}"[:300].replace("{", "{{").replace("}", "}}")
            return LanguageModel(read_model(folder, self._dtype), start=None), f"transformers ({{}}; {why})"
        dtype = self.config.dtype if self._dtype == "auto" else getattr(torch, self._dtype)
        own = own if dtype is None else own.to(dtype)  # a folder may leave it to its tensors
        own = own.eval().requires_grad_(False)
        packing = f"; {pack(own)}" if self._pack else ""
        return AsRead(own), f"crt-ar ({{}}{packing})"
