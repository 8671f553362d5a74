"""Trained parts: each is built by the name of its component, and gets the tensors that its stage has kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crt_run.runs.contents import located
from crt_run.training.derived import Derived
from crt_run.training.ids import batches, spread
from crt_run.training.objective import Inputs, built
from crt_run.training.order import seeded
from crt_run.training.outline import BlankData, Outline
from crt_run.training.plans import around
from crtcore.errors import RunError, in_one_line, nearest
from crtcore.kinds import Plan, PriorSpec, StagePlan

_PART = "part."
"""How the name of a weight begins in a checkpoint; the name of the part follows."""


class Kept(NamedTuple):
    """What is left of a run once it has ended."""

    plan: Plan
    outline: Outline
    stages: Sequence[str]
    """The names of its trainings."""
    tensors: Callable[[str], Mapping[str, Tensor]]
    """The tensors of a training, as its checkpoint names them."""
    where: str
    """What messages begin with."""
    runs: Path | None = None
    """The folder of runs in which those that parts refer to are looked for; None: parts have no such run."""

    @property
    def trained(self) -> list[str]:
        """The names of its trainings that have parts; stored ids have none."""
        return [name for name in self.stages if any(_fits(stage.name, name) for stage in self.plan.stages)]

    def parts(self, stage: str) -> dict[str, Tensor]:
        """The weights of a training, by the names of its parts and theirs."""
        return _under(self.tensors(stage), _PART)

    def digest(self) -> str:
        """SHA-256 of all weights with their names, types and shapes."""
        whole = hashlib.sha256()
        for stage in sorted(self.trained):
            for name, each in sorted(self.parts(stage).items()):
                whole.update(f"{stage}/{name} {each.dtype} {tuple(each.shape)}\n".encode())
                whole.update(each.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return whole.hexdigest()


class Parts:
    """The parts of a run, each built once and loaded when it is first asked for, in evaluation mode."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # as a run chooses
        self._trained: dict[str, dict[str, Any]] = {}
        self._roles: dict[str, Any] = {}

    def trained(self, name: str) -> dict[str, Any]:
        """All that a training has trained, by the names of parts, its result first.

        Raises: RunError if the run has no such training, or its weights do not fit what is installed now.
        """
        if name not in self._trained:
            with torch.inference_mode(False):  # whatever the caller is in: weights made there could not be fitted
                self._trained[name] = self._loaded(name)
        return self._trained[name]

    def role(self, path: str) -> Any:
        """The prior or tokenizer at a path of the plan, such as `prior` or `draft.0`: trained, or one with own weights.

        Raises: RunError if the run has none there.
        """
        if path not in self._roles:
            known = [stage.name for stage in self.kept.plan.stages]
            with torch.inference_mode(False):
                self._roles[path] = self._placed(path) if path in known else self._untrained(path)
        return self._roles[path]

    def _placed(self, path: str) -> Any:
        """What a stage trained; a prior with what its spec lays around it, such as guidance."""
        result, spec = self._result(path), self._spec(path)
        return around(spec, result, self.kept.outline.classes) if isinstance(spec, PriorSpec) else result

    def _spec(self, path: str) -> Any:
        """The spec at a path of the plan; None: there is none."""
        role, _, place = path.partition(".")
        spec = self.kept.plan.parts.get(role)
        if isinstance(spec, tuple):
            return spec[int(place)] if place.isdigit() and int(place) < len(spec) else None
        return spec

    def _result(self, name: str) -> Any:
        return next(iter(self.trained(name).values()))

    def _loaded(self, name: str) -> dict[str, Any]:
        kept = self.kept
        if name not in kept.stages:
            raise RunError(f"{kept.where}: expected a stage of this run, got {name!r}{nearest(name, [*kept.stages])}")
        stage, repeat = self._stage(name)
        tensors = kept.tensors(name)
        try:
            modules = self._modules(stage, repeat)
            for part, module in modules.items():
                own = _under(tensors, f"{_PART}{part}.")
                if own or part == next(iter(modules)):
                    module.load_state_dict(own)
        except RunError:
            raise
        except Exception as error:  # whatever a component raises, and what torch raises of other shapes
            raise RunError(
                f"{kept.where}: the weights of stage {name!r} do not fit what is installed now "
                f"({in_one_line(error):.200}); install the versions that the run names, or train it again"
            ) from error
        return {part: module.to(self.device).eval() for part, module in modules.items()}

    def _modules(self, stage: StagePlan, repeat: Sequence[float]) -> dict[str, nn.Module]:
        before: dict[str, Any] = {each.name: self._result(each.name) for each in stage.after}
        data = BlankData(self.kept.outline, stage.training.batch)
        objective = built(Inputs(stage, data, before), *repeat)
        return {name: part.module for name, part in objective.parts.items()}

    def _stage(self, name: str) -> tuple[StagePlan, tuple[float, ...]]:
        """The plan of a training, and which of its repeats it is: a name is that of the plan, or begins with it."""
        fitting = [s for s in self.kept.plan.stages if name == s.name or name.startswith(f"{s.name}-")]
        if not fitting:
            raise RunError(f"{self.kept.where}: stage {name!r} is none that its experiment trains")
        stage = max(fitting, key=lambda each: len(each.name))
        label = name.removeprefix(stage.name).removeprefix("-")
        repeats = [(value,) for value in stage.repeats if repr(value) == label]
        return stage, repeats[0] if repeats else stage.repeats[:1]

    def _untrained(self, path: str) -> Any:
        """A prior that no stage trains: it brings its weights, or is made of the tokenizer's stage."""
        plan, spec = self.kept.plan, self._spec(path)
        if spec is None or spec.kind != "prior":
            known, role = ", ".join(self.kept.stages) or "none", path.partition(".")[0]
            raise RunError(
                f"{self.kept.where}: expected a run with one {role}, got one of the experiment "
                f"{plan.document['experiment']['use']!r}; its stages are {known}"
            )
        if self.kept.runs is not None:
            spec = located(spec, self.kept.runs)
        outline = self.kept.outline
        if plan.parts.get("tokenizer") is None:
            vocabulary, length = outline.vocabulary, outline.shape[0]
        else:
            tokenizer = self.role("tokenizer")
            vocabulary, length = tokenizer.vocabulary, tokenizer.length
        with seeded(plan.seed, path):
            prior = spec.build(vocabulary, length, outline.classes)
        if isinstance(prior, Derived):
            self._derive(prior)
        return prior.to(self.device).eval()

    def _derive(self, prior: Derived) -> None:
        """Makes a prior of the tokenizer's stage and the training data, which it reads."""
        made, dataset = self.trained("tokenizer"), self.kept.plan.parts["dataset"].build()
        tokenizer, ids, class_ids = made["tokenizer"], [], []
        with torch.inference_mode():
            for batch in batches(dataset, "train", spread(dataset.sizes["train"])):
                known = None if batch.class_ids is None else batch.class_ids.to(self.device)
                ids.append(tokenizer.encode(batch.data.to(self.device), known))
                class_ids.append(known)
        classes = [each for each in class_ids if each is not None]
        regularizers = [part for name, part in made.items() if name.startswith("regularizer.")]
        prior.derive(tokenizer, regularizers, torch.cat(ids).clone(), torch.cat(classes) if classes else None)


def _fits(stage: str, name: str) -> bool:
    return name == stage or (name.startswith(f"{stage}-") and not name.startswith(f"{stage}-ids-"))


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
