"""Spec of generated tasks as text of a model, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import attrs

from crt_latent.tasks.spec import TaskSpec
from crtcore.kinds import DatasetSpec
from crtcore.spec import FILES, FieldError, resolve


def _task(_: object, attribute: attrs.Attribute[DatasetSpec], value: DatasetSpec) -> None:
    if not isinstance(value, TaskSpec):
        raise FieldError(attribute.name, "expected a generated task, such as 'arithmetic', got another dataset")


@attrs.frozen(kw_only=True)
class InWords(DatasetSpec):
    """A generated task as text in the ids of a model's tokenizer: its words, with a space before each.

    Problems, splits and answers are those of the task: an answer is read as words, and checked by solving the problem.
    All rows are drawn and tokenized when it is built.
    """

    implementation: ClassVar[str] = "crt_latent.in_words.dataset:WordTraces"
    form: ClassVar[str] = "trace"

    dataset: DatasetSpec = attrs.field(validator=_task)
    """The task."""
    tokenizer: str = attrs.field(metadata=FILES)
    """Folder of a model with a `tokenizer.json`, relative to the working directory."""

    def example_in(self, folder: Path) -> InWords:
        """Returns the spec with a word tokenizer written to `folder`."""
        import json

        task: Any = self.dataset.build()
        (folder / "tokenizer.json").write_text(
            json.dumps(resolve("crt_nn.text:of_words")(["[UNK]", *task.maker.texts]))
        )
        return attrs.evolve(self, tokenizer=str(folder))
