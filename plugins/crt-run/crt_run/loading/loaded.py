"""A finished run as an object: its numbers, its trained parts and its decoder, and samples drawn with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import tomli
import torch

from crt_run.loading.drawing import Drawn, check_drawable, classes_of, draw
from crt_run.loading.layout import CONFIG, from_folder, write_folder
from crt_run.loading.parts import Kept, Parts
from crt_run.loading.plans import plan_of
from crt_run.runs import checkpoint, files
from crt_run.runs.ended import Ended
from crt_run.runs.find import RUNS, find_run, find_stage
from crt_run.runs.numbers import number
from crt_run.runs.records import ABOUT, read_json
from crt_run.training.outline import Outline, read_outline
from crtcore.errors import RunError
from crtcore.kinds import Decoder, Measurement, Plan, Prior, Tokenizer


class LoadedRun:
    """A finished run; everything is read when it is first asked for, and checked against the hashes it was kept with.

    Every member raises RunError if a file is missing, damaged or of another run, or the run has no such part.
    """

    def __init__(self, kept: Kept, result: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        self.plan: Plan = kept.plan
        self.result = result
        """What `result.json` holds."""
        self._parts = Parts(kept)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LoadedRun:
        """The run that `save_pretrained` wrote to a folder; reads nothing else, and no network.

        Raises: RunError if it is no such folder, or damaged.
        """
        kept, result = from_folder(Path(folder))
        return cls(kept, result, Path(folder))

    @property
    def outline(self) -> Outline:
        """The shape of a sample of its data."""
        return self._parts.kept.outline

    @property
    def device(self) -> torch.device:
        """Where its parts are."""
        return self._parts.device

    @cached_property
    def weights(self) -> str:
        """The SHA-256 of all that it has trained: that of its folder and of one by `save_pretrained` are equal."""
        return self._parts.kept.digest()

    @property
    def results(self) -> dict[str, Measurement]:
        """The numbers of the run by name."""
        return {name: number(each) for name, each in self.result["numbers"].items()}

    @property
    def stages(self) -> list[str]:
        """The names of what the run has trained."""
        return list(self._parts.kept.stages)

    def trained(self, stage: str) -> dict[str, Any]:
        """All that a stage has trained, by the names of its parts, the result first."""
        return self._parts.trained(stage)

    @property
    def tokenizer(self) -> Tokenizer:
        """The trained tokenizer."""
        tokenizer: Tokenizer = self._parts.role("tokenizer")
        return tokenizer

    @property
    def prior(self) -> Prior:
        """The prior: trained, or with the weights that it brings."""
        prior: Prior = self._parts.role("prior")
        return prior

    @property
    def drafts(self) -> tuple[Prior, ...]:
        """The drafts, in the order of the spec file; none if it has none."""
        specs = self.plan.parts.get("draft") or ()
        paths = [f"draft.{place}" for place in range(len(specs))] if isinstance(specs, tuple) else ["draft"]
        return tuple(self._parts.role(path) for path in paths)

    @cached_property
    def decoders(self) -> tuple[Decoder, ...]:
        """The decoders, in the order of the spec file."""
        specs = self.plan.parts.get("decoder") or ()
        return tuple(spec.build() for spec in (specs if isinstance(specs, tuple) else (specs,)))

    @property
    def decoder(self) -> Decoder:
        """The decoder, the first if there are several.

        Raises: RunError if the experiment has none.
        """
        if not self.decoders:
            use = self.plan.document["experiment"]["use"]
            raise RunError(f"{self.folder}: expected a run with a decoder, got one of the experiment {use!r}")
        return self.decoders[0]

    def sample(self, count: int, *, seed: int | None = None, class_ids: Any = None) -> Drawn:
        """Draws samples with the run's decoder and its settings; row i depends on the seed and on i alone.

        `seed` is that of the run if it is None: then row i is what the run drew for its i-th held-out sample, if it has
        the same class. `class_ids` (one for each sample) are 0, 1, 2 and so on again from 0 where they are None.
        Raises: RunError also if the run draws rows from prompts, or a class is out of range.
        """
        check_drawable(self)
        classes = classes_of(self.outline, count, class_ids)
        return draw(self, torch.arange(count), seed=seed, class_ids=classes, device=self.device)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes the run in the layout of the Hugging Face Hub: model.safetensors, config.json and a model card.

        Uses no network. The card has the run's numbers.
        Raises: RunError if a part has weights that another folder holds, or the folder cannot be written.
        """
        return write_folder(Path(folder), self._parts.kept, self.result)


def load_run(run: str | Path, runs: str | Path = RUNS) -> LoadedRun:
    """A finished run by its folder, its NAME or NAME/HASH in the folder `runs`, or a folder of `save_pretrained`.

    Raises: RunError if there is none, several, or its files are not as they were written.
    """
    if (Path(run) / CONFIG).is_file() and not (Path(run) / ABOUT).exists():
        return LoadedRun.from_pretrained(run)
    folder = find_run(run, Path(runs))
    ended = Ended(folder)
    about = read_json(folder / ABOUT, "stages")
    try:
        outline = read_outline(about["outline"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{folder / ABOUT}: expected the shape of a sample, which runs keep since they can be loaded, got none "
            f"({error!r:.80}); {files.again(folder)}"
        ) from None
    plan = plan_of(tomli.loads(ended.spec), str(folder))
    weights = partial(_weights, folder)
    kept = Kept(plan, outline, list(about["stages"]), weights, str(folder), folder.parent.parent)
    return LoadedRun(kept, ended.result, folder)


def _weights(folder: Path, stage: str) -> dict[str, Any]:
    return checkpoint.load(find_stage(folder, stage)).tensors
