"""Where the weights of a stage lie: whole on every rank, or cut over ranks (`crt_run.training.sharded`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from jaxtyping import Shaped
from torch import Tensor, nn

from crtcore.errors import RunError


class Layout(Protocol):
    """How the state of modules is read, loaded and joined."""

    cut: bool
    """True: each rank has a part of every weight."""

    def values(self, module: nn.Module) -> dict[str, Tensor]:
        """The state of a module, as it lies here."""

    def load(self, module: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Loads a state, whole or as it lies here."""

    def own(self, value: Tensor, like: Tensor) -> Shaped[Tensor, "..."]:
        """What lies here of a whole `value` that belongs to the parameter or its moments `like`."""

    def gathered(self, tensors: Mapping[str, Tensor], *, keep: bool) -> Mapping[str, Tensor]:
        """Whole tensors, on a rank that keeps them; all ranks take part."""

    def end(self, module: nn.Module) -> None:
        """Makes a module work without the other ranks from here on."""


class Whole:
    """Every rank has all weights."""

    cut = False

    def values(self, module: nn.Module) -> dict[str, Tensor]:
        """The state."""
        state: dict[str, Tensor] = module.state_dict()
        return state

    def load(self, module: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Loads the state."""
        module.load_state_dict(state)

    def own(self, value: Tensor, like: Tensor) -> Shaped[Tensor, "..."]:
        """All of it."""
        return value

    def gathered(self, tensors: Mapping[str, Tensor], *, keep: bool) -> Mapping[str, Tensor]:
        """They are whole."""
        return tensors

    def end(self, module: nn.Module) -> None:
        """It works alone."""


def blocks(name: str, modules: Mapping[str, nn.Module]) -> list[nn.Module]:
    """The outermost blocks of a stage's only part, which are gathered one at a time where weights are cut.

    Raises: RunError if the stage, called `name`, cannot be cut.
    """
    learning = [module for module in modules.values() if any(True for _ in module.parameters())]
    candidates = [
        block
        for module in learning
        for each in module.modules()
        if isinstance(each, nn.ModuleList)
        for block in each
        if any(True for _ in block.parameters())
    ]
    if len(learning) != 1 or not candidates:
        got = f"{len(learning)} parts that learn" if len(learning) != 1 else f"a {type(learning[0]).__name__} without"
        raise RunError(
            f"stage {name!r}: sharding = 'full' takes one part with blocks in an nn.ModuleList, such as a transformer "
            f"prior, got {got}; set `sharding` of this training to 'none'"
        )
    inner = {id(each) for block in candidates for each in block.modules() if each is not block}
    return [block for block in candidates if id(block) not in inner]
