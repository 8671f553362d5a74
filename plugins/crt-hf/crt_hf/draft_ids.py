"""The ids of a distilled draft: `draft.json` beside its weights has the target's id of each; free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from crt_nn.json_files import json_object
from crtcore.errors import RunError

NAME = "draft.json"


class DraftIds(NamedTuple):
    """Which ids of a target a draft has; the draft's id 0 stands for all others, and its id k + 1 is `ids[k]`."""

    vocabulary: int
    """Ids of the target."""
    ids: tuple[int, ...]
    """Distinct ids of the target."""

    @property
    def common(self) -> tuple[dict[str, int], dict[str, int]]:
        """The names that an id has in both vocabularies: the target's, and the draft's."""
        return {str(x): x for x in range(self.vocabulary)}, {str(x): own for own, x in enumerate(self.ids, start=1)}


def read_draft_ids(folder: Path, rows: int) -> DraftIds | None:
    """Reads the ids of the draft in `folder`, whose embedding has `rows`; None if it was not distilled.

    Raises: RunError if the file does not fit the draft.
    """
    path = folder / NAME
    if not path.exists():
        return None
    table = json_object(path, "distill")
    vocabulary, ids = table.get("vocabulary"), table.get("ids")
    if type(vocabulary) is not int or not isinstance(ids, list) or not all(type(x) is int for x in ids):
        raise RunError(f"distill: {path}: expected a vocabulary and ids, which are integers; distil the draft again")
    if len(set(ids)) != rows - 1 or len(ids) != rows - 1 or not all(0 <= x < vocabulary for x in ids):
        raise RunError(
            f"distill: {path}: expected {rows - 1} distinct ids below {vocabulary}, one for each row of the draft but "
            f"the first, got {len(ids)}, {len(set(ids))} of them distinct; distil the draft again"
        )
    return DraftIds(vocabulary, tuple(ids))
