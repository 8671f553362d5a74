"""Mazes of four rooms whose doors need keys.

Axes: b batch, k numbers of a problem, p ids of a prompt, s ids of a solution. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.prose import Prose
from crt_latent.tasks.rooms import COLORS, MOVES, ROOM, SIDE, Solution, State, World, needs_a_key, reaches_goal, search
from crt_latent.tasks.spec import Maze
from crt_latent.tasks.task import Traced
from crt_latent.tasks.uniforms import below, bits, orders
from crt_latent.traces import Trace

MARKS = ("door", "key", "start", "goal", "open", ";", "none")
WALLS = ((2, 3, SIDE), (20, 21, SIDE), (12, 18, 1), (15, 21, 1))
"""Each wall between two rooms: the cells on both sides of its first doorway, and the stride to the next."""
CELLS = SIDE * SIDE


class Keys:
    """Marks, moves, colours, cells, sets of opened doors and costs, in this order."""

    def __init__(self, spec: Maze) -> None:
        self.spec = spec
        sets = ["+".join(name for bit, name in enumerate(COLORS) if opened >> bit & 1) or "-" for opened in range(8)]
        self.texts = (
            *MARKS, *MOVES, *COLORS,
            *(f"c{cell}" for cell in range(CELLS)),
            *(f"opened:{each}" for each in sets),
            *map(str, range(spec.expansions)),
        )  # fmt: skip
        self._ids = {text: id_ for id_, text in enumerate(self.texts)}
        self._sets = [f"opened:{each}" for each in sets]
        self._prose = Prose(self.texts)

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws the doorway in each wall, its colour (-1: open), each colour's key cell (-1: none), start and goal."""
        locked = 1 + below(len(COLORS), seeds, "locked", 1)
        used = torch.arange(len(COLORS)) < locked  # b 3
        walls, colors = orders(seeds, "walls", len(WALLS)), orders(seeds, "colors", len(COLORS))
        places = orders(seeds, "places", CELLS)
        doors = torch.full((len(rows), len(WALLS)), -1).scatter(1, walls[:, :3], colors.masked_fill(~used, -1))
        keys = torch.full((len(rows), len(COLORS)), -1).scatter(1, colors, places[:, 2:5].masked_fill(~used, -1))
        return torch.cat((below(ROOM, seeds, "doorways", len(WALLS)), doors, keys, places[:, :2]), 1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b k"]:
        """Returns the whole problem."""
        return problems

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; mazes can be used if the search is as long as asked and every shortest path takes a key."""
        uniforms = bits(seeds, "ties", CELLS + 12).tolist()
        rows = []
        for problem, row_uniforms in zip(problems.tolist(), uniforms, strict=True):
            world = world_from(problem)
            result = search(world, partial(_tie, row_uniforms), patience=self.spec.expansions)
            if result and len(result.expansions) >= self.spec.fewest and needs_a_key(world, len(result.moves)):
                rows.append((_facts(world), self._steps(result), list(result.moves)))
            else:
                rows.append(([], [], []))
        prompt, steps, moves = (self._padded([row[part] for row in rows]) for part in range(3))
        return Traced(
            Trace(prompt, steps, moves),
            torch.tensor([bool(words) for words, *_ in rows], dtype=torch.bool),
        )

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the moves are allowed and end at the goal."""
        pairs = zip(self._prose.rows(prompt), self._prose.rows(solution), strict=True)
        return torch.tensor([reaches_goal(world_of(words), moves) for words, moves in pairs], dtype=torch.bool)

    def _steps(self, result: Solution) -> list[str]:
        return [
            word
            for (cell, carried, opened), cost in result.expansions
            for word in (f"c{cell}", COLORS[carried] if carried >= 0 else "none", self._sets[opened], str(cost))
        ]

    def _padded(self, rows: list[list[str]]) -> Int[Tensor, "b n"]:
        width = max(map(len, rows), default=0)
        result = [[self._ids[word] for word in row] + [-1] * (width - len(row)) for row in rows]
        return torch.tensor(result, dtype=torch.int64).view(len(rows), width)


def world_of(prompt: Sequence[str]) -> World:
    """Reads the world of a prompt.

    Raises: ValueError if the prompt is not valid.
    """
    doors, keys, ends = {}, {}, {}
    try:
        for mark, *words in Prose.sentences(prompt):
            match mark, words:
                case "door", [one, other, color]:
                    doors[_cell(one), _cell(other)] = -1 if color == "open" else COLORS.index(color)
                case "key", [color, cell]:
                    keys[_cell(cell)] = COLORS.index(color)
                case "start" | "goal", [cell]:
                    ends[mark] = _cell(cell)
                case _:
                    raise ValueError(f"expected a fact, got {mark} {words}")
        return World(doors, keys, ends["start"], ends["goal"])
    except (KeyError, ValueError):
        raise ValueError(f"expected doors, keys, a start and a goal, got {' '.join(prompt)!r}") from None


def optimal(prompt: Sequence[str], moves: Sequence[str]) -> bool:
    """Returns whether moves lead to the goal of a prompt's world, and no fewer moves do.

    Raises: ValueError if the prompt is not valid.
    """
    world = world_of(prompt)
    best = search(world)
    return reaches_goal(world, moves) and best is not None and len(moves) == len(best.moves)


def world_from(problem: Sequence[int]) -> World:
    """Builds the world of a problem's numbers."""
    doorways, colors, keys, (start, goal) = problem[:4], problem[4:8], problem[8:11], problem[11:]
    doors = {
        (first + place * stride, second + place * stride): color
        for (first, second, stride), place, color in zip(WALLS, doorways, colors, strict=True)
    }
    return World(doors, {cell: color for color, cell in enumerate(keys) if cell >= 0}, start, goal)


def _facts(world: World) -> list[str]:
    facts = []
    for (one, other), color in world.doors.items():
        facts += ["door", f"c{one}", f"c{other}", COLORS[color] if color >= 0 else "open", ";"]
    for cell, color in world.keys.items():
        facts += ["key", COLORS[color], f"c{cell}", ";"]
    return [*facts, "start", f"c{world.start}", ";", "goal", f"c{world.goal}", ";"]


def _tie(uniforms: list[int], state: State) -> int:
    """Returns a random rank of a state, equal whenever the search meets it."""
    return uniforms[state.cell] ^ uniforms[CELLS + 1 + state.carried] ^ uniforms[CELLS + 4 + state.opened]


def _cell(word: str) -> int:
    number = int(word.removeprefix("c"))
    if word != f"c{number}":
        raise ValueError(f"expected a cell, got {word!r}")
    return number


def maze(spec: Maze) -> GeneratedTask:
    """Builds the task."""
    return GeneratedTask(spec, Keys(spec))
