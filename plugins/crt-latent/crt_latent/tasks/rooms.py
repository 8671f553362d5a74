"""A world of four rooms, doors and keys, its rules, and the search for a shortest path.

Cells are numbered row by row, 6 by 6; a room is 3 by 3 of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

SIDE = 6
ROOM = 3
COLORS = ("red", "green", "blue")
MOVES = ("up", "down", "left", "right", "take")
_STRIDES: Mapping[str, tuple[int, int]] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


class State(NamedTuple):
    """A state of the search."""

    cell: int
    carried: int
    """Colour of the carried key; -1: none."""
    opened: int
    """Colours of opened doors, as bits."""


class World(NamedTuple):
    """The constant part of a problem."""

    doors: Mapping[tuple[int, int], int]
    """Maps two cells of two rooms, the smaller first, to the colour of the lock between them; -1: none."""
    keys: Mapping[int, int]
    """Maps a cell to the colour of the key there."""
    start: int
    goal: int

    @property
    def begin(self) -> State:
        """The start, without a key and opened doors."""
        return State(self.start, -1, 0)


def apply_move(world: World, state: State, move: str) -> State | None:
    """Returns the state after a move; None if the move is not allowed.

    Only one key can be carried. It opens the door of its colour on the first passage, and stays there.
    """
    cell, carried, opened = state
    if move == "take":
        color = world.keys.get(cell, -1)
        return State(cell, color, opened) if carried < 0 <= color and not opened >> color & 1 else None
    row, column = cell // SIDE + _STRIDES[move][0], cell % SIDE + _STRIDES[move][1]
    if not (0 <= row < SIDE and 0 <= column < SIDE):
        return None
    there = row * SIDE + column
    if _room(cell) == _room(there):
        return State(there, carried, opened)
    door = min(cell, there), max(cell, there)
    if door not in world.doors:
        return None
    color = world.doors[door]
    if color < 0 or opened >> color & 1:
        return State(there, carried, opened)
    return State(there, -1, opened | 1 << color) if color == carried else None


def reaches_goal(world: World, moves: Sequence[str]) -> bool:
    """Returns whether all moves are allowed and the last one ends at the goal."""
    state: State | None = world.begin
    for move in moves:
        state = apply_move(world, state, move) if state and move in MOVES else None
    return state is not None and state.cell == world.goal


class Expanded(NamedTuple):
    """A state that a search expanded."""

    state: State
    cost: int
    """Number of moves to it."""


class Solution(NamedTuple):
    """Result of a search."""

    expansions: Sequence[Expanded]
    moves: Sequence[str]


def search(
    world: World, tie: Callable[[State], int] = hash, *, moves: Sequence[str] = MOVES, patience: int = 2**20
) -> Solution | None:
    """Returns a shortest path to the goal by A*; None if there is none within `patience` expansions.

    `tie` breaks ties. The heuristic, the distance without walls, is consistent, so that no state is expanded twice.
    """
    previous: dict[State, tuple[State, str] | None] = {world.begin: None}
    costs = {world.begin: 0}
    front = [(_distance(world.start, world.goal), tie(world.begin), world.begin)]
    expansions: list[Expanded] = []
    done: set[State] = set()
    while front and len(expansions) < patience:
        *_, state = heapq.heappop(front)
        if state in done:
            continue
        done.add(state)
        expansions.append(Expanded(state, costs[state]))
        if state.cell == world.goal:
            return Solution(expansions, list(_way(previous, state))[::-1])
        for move in moves:
            there = apply_move(world, state, move)
            if there is not None and costs[state] + 1 < costs.get(there, 2**20):
                previous[there], costs[there] = (state, move), costs[state] + 1
                heapq.heappush(front, (costs[there] + _distance(there.cell, world.goal), tie(there), there))
    return None


def needs_a_key(world: World, cost: int) -> bool:
    """Returns whether every path of at most `cost` moves takes a key."""
    without = search(world, moves=MOVES[:-1])
    return without is None or len(without.moves) > cost


def _way(previous: Mapping[State, tuple[State, str] | None], state: State) -> Iterator[str]:
    while step := previous[state]:
        state, move = step
        yield move


def _room(cell: int) -> tuple[int, int]:
    return cell // SIDE // ROOM, cell % SIDE // ROOM


def _distance(one: int, other: int) -> int:
    return abs(one // SIDE - other // SIDE) + abs(one % SIDE - other % SIDE)
