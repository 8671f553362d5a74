"""Mazes: the rules, shortest paths by breadth-first search, needed keys, and refused moves."""

from __future__ import annotations

import functools

import pytest
import torch

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.maze import Keys, optimal, world_from, world_of
from crt_latent.tasks.rooms import MOVES, State, World, apply_move, needs_a_key, reaches_goal, search
from crt_latent.tasks.spec import Maze
from crt_latent.tasks.task import Traced
from crt_latent.traces import split_trace
from crt_laws import obeys
from crtcore.spec import FieldError

SPEC = Maze(expansions=40, train=60, validation=3, test=3)

test_mazes = obeys(Maze(expansions=40, train=20, validation=3, test=3))

RED, GREEN = 0, 1
CORRIDOR = World({(2, 3): RED, (20, 21): -1}, {1: RED, 7: GREEN}, start=0, goal=4)
"""A red door joins the upper rooms; its key lies beside the start."""
WAY = ["right", "take", "right", "right", "right"]


@functools.cache
def small() -> GeneratedTask:
    return SPEC.build()


def texts(count: int) -> list[tuple[str, str, str]]:
    result = []
    for row in small().take("train", torch.arange(count)).data:
        prompt, rest = small().words(row).removesuffix(" <end>").split(" <think> ")
        steps, solution = rest.split(" <answer> ")
        result.append((prompt, steps, solution))
    return result


def breadth_first(world: World, moves: tuple[str, ...] = MOVES) -> int | None:
    """Counts the moves of a shortest path, by the rules alone."""
    costs, front = {world.begin: 0}, [world.begin]
    for state in front:
        if state.cell == world.goal:
            return costs[state]
        for move in moves:
            there = apply_move(world, state, move)
            if there is not None and there not in costs:
                costs[there] = costs[state] + 1
                front.append(there)
    return None


def worlds(count: int) -> list[World]:
    """Returns drawn mazes before rejection."""
    maker = Keys(SPEC)
    problems = maker.problems(torch.arange(count), torch.arange(count))
    return [world_from(problem) for problem in problems.tolist()]


@pytest.mark.parametrize(
    ("state", "move", "expected"),
    [
        (State(0, -1, 0), "left", None),
        (State(0, -1, 0), "up", None),
        (State(30, -1, 0), "down", None),
        (State(5, -1, 0), "right", None),
        (State(0, -1, 0), "down", State(6, -1, 0)),
        (State(2, -1, 0), "right", None),
        (State(2, GREEN, 0), "right", None),
        (State(2, RED, 0), "right", State(3, -1, 1)),
        (State(3, -1, 1), "left", State(2, -1, 1)),
        (State(8, RED, 0), "right", None),
        (State(20, RED, 0), "right", State(21, RED, 0)),
        (State(12, -1, 0), "down", None),
        (State(1, -1, 0), "take", State(1, RED, 0)),
        (State(1, GREEN, 0), "take", None),
        (State(1, -1, 1), "take", None),
        (State(0, -1, 0), "take", None),
    ],
)
def test_the_rules(state: State, move: str, expected: State | None) -> None:
    assert apply_move(CORRIDOR, state, move) == expected


@pytest.mark.parametrize(
    ("moves", "right"),
    [
        (WAY, True),
        (["down", "up", *WAY], True),
        (WAY[:-1], False),
        ([*WAY, "right"], False),
        ([move for move in WAY if move != "take"], False),
        (["take", *WAY], False),
        (["jump", *WAY], False),
        (["right", "down", "take", "up", "right", "right", "right"], False),
        ([], False),
    ],
)
def test_moves_are_checked_by_making_them(moves: list[str], right: bool) -> None:
    assert reaches_goal(CORRIDOR, moves) is right


def test_a_search_takes_as_many_moves_as_breadth_first() -> None:
    for world in worlds(100):
        result, cost = search(world), breadth_first(world)

        assert (result is None) == (cost is None)
        if result:
            assert len(result.moves) == cost
            assert reaches_goal(world, result.moves)


def test_no_state_is_expanded_twice() -> None:
    for world in worlds(50):
        if result := search(world):
            assert len({state for state, _ in result.expansions}) == len(result.expansions)


def test_a_kept_maze_needs_a_key() -> None:
    for prompt, _, solution in texts(60):
        world, moves = world_of(prompt.split()), solution.split()
        without = breadth_first(world, MOVES[:-1])

        assert "take" in moves
        assert optimal(prompt.split(), moves)
        assert without is None or without > len(moves)
        assert needs_a_key(world, len(moves))


def test_needs_a_key_distinguishes_mazes() -> None:
    open_door = CORRIDOR._replace(doors={(2, 3): -1})

    assert needs_a_key(CORRIDOR, 5)
    assert not needs_a_key(open_door, 5)


def test_steps_are_a_search_that_ends_at_the_goal() -> None:
    for prompt, steps, solution in texts(60):
        world = world_of(prompt.split())
        expansions = [steps.split()[place : place + 4] for place in range(0, len(steps.split()), 4)]

        assert expansions[0] == [f"c{world.start}", "none", "opened:-", "0"]
        assert expansions[-1][0] == f"c{world.goal}"
        assert int(expansions[-1][-1]) == len(solution.split())
        assert len(expansions) <= 40


def test_a_search_has_as_many_expansions_as_asked() -> None:
    task = Maze(expansions=16, fewest=15, train=20, validation=1, test=1).build()
    rows = task.take("train", torch.arange(20)).data
    steps = [task.words(row).split(" <think> ")[1].split(" <answer> ")[0].split() for row in rows]

    assert {len(each) / 4 for each in steps} == {15, 16}
    with pytest.raises(FieldError, match="expected at most `expansions`, 16, got 17"):
        Maze(expansions=16, fewest=17)


def test_worlds_are_as_stated() -> None:
    counts = [0, 0, 0, 0]
    for world in worlds(300):
        locks = [color for color in world.doors.values() if color >= 0]
        counts[len(locks)] += 1
        assert len(world.doors) == 4
        assert sorted(locks) == sorted(world.keys.values())
        assert len(set(locks)) == len(locks)
        assert len({world.start, world.goal, *world.keys}) == 2 + len(locks)
        for one, other in world.doors:
            assert (other - one, one % 6 if other == one + 1 else one // 6) in ((1, 2), (6, 2))

    # 100 each to 6 standard deviations of 8.2
    assert counts[0] == 0
    assert all(abs(count - 100) < 49 for count in counts[1:])


def traced(maker: Keys, row: int, seed: int) -> Traced:
    return maker.traced(maker.problems(torch.tensor([row]), torch.tensor([row])), torch.tensor([seed]))


def test_ties_are_broken_by_the_seed() -> None:
    maker = Keys(SPEC)
    fit = next(row for row in range(99) if bool(traced(maker, row, 0).fit))

    orders = {tuple(traced(maker, fit, seed).trace.steps[0].tolist()) for seed in range(20)}

    assert len(orders) > 1


def test_its_own_answers_are_valid_and_those_of_other_mazes_are_not() -> None:
    task = small()
    rows = task.take("train", torch.arange(60)).data
    trace = split_trace(rows, task.vocabulary)
    emitted = torch.cat((torch.full((60, 1), task.vocabulary - 2), trace.solution), 1)
    emitted = torch.cat((emitted, torch.full((60, 1), -1)), 1)
    emitted[torch.arange(60), (emitted >= 0).sum(1)] = task.vocabulary - 1

    assert task.check(trace.prompt, emitted).all()
    assert task.check(trace.prompt, emitted.roll(1, 0)).sum() < 6


def test_a_longer_path_is_valid_but_not_optimal() -> None:
    prompt = "door c2 c3 red ; key red c1 ; start c0 ; goal c4 ;"

    assert optimal(prompt.split(), WAY)
    assert not optimal(prompt.split(), ["down", "up", *WAY])


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "start c0 ;",
        "start c0 ; goal red ;",
        "door c2 c3 none ; start c0 ; goal c4 ;",
        "key open c3 ; start c0 ; goal c4 ;",
        "start c0 ; goal c4",
        "; start c0 ; goal c4 ;",
    ],
)
def test_a_prompt_that_is_no_maze_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="expected doors, keys, a start and a goal"):
        world_of(prompt.split())
