"""The time to generate reasoning traces of crt-latent, and the share of drawn graphs and mazes that is kept.

Seconds are of processor time, one thread.

Usage: python bench/traces.py
"""

from collections.abc import Callable
from time import process_time

import torch

from crt_latent.tasks.graph import depths, drawn
from crt_latent.tasks.maze import Keys, world_from
from crt_latent.tasks.rooms import needs_a_key, search
from crt_latent.tasks.spec import AffineChain, Maze

CHAINS, GRAPHS, MAZES = 20_000, 4_000, 400
NODES = 23


def main() -> None:
    torch.set_num_threads(1)
    chains = AffineChain(train=CHAINS).build()
    print(f"affine-chain: {CHAINS} samples in {seconds(lambda: chains.take('train', torch.arange(CHAINS))):.2f} s")
    graphs()
    mazes()


def graphs() -> None:
    taken = seconds(lambda: drawn(NODES, torch.arange(GRAPHS)))
    edges, below = drawn(NODES, torch.arange(GRAPHS))
    young = torch.arange(NODES) > 1
    one, both = (below == 1) & young, ((below == 2) & young).any(1)
    depth = depths(edges)
    usable = one.any(1) & both
    deepest = depth.masked_fill(~one, 0).amax(1)[usable].double().mean()
    print(f"graph: {1e6 * taken / GRAPHS:.0f} us each, {edges.sum((1, 2)).double().mean():.1f} edges")
    print(f"  with both sorts of targets: {usable.double().mean():.1%}, the deepest {deepest:.2f} hops away")
    for hops in (3, 4, 5):
        print(f"  with one {hops} hops away: {((one & (depth == hops)).any(1) & both).double().mean():.1%}")


def mazes() -> None:
    problems = Keys(Maze()).problems(torch.arange(MAZES), torch.arange(MAZES)).tolist()
    start, expanded = process_time(), []
    for world in map(world_from, problems):
        solution = search(world)
        if solution and needs_a_key(world, len(solution.moves)):
            expanded.append(len(solution.expansions))
    taken = process_time() - start
    print(f"maze: {1e3 * taken / MAZES:.2f} ms a draw, {len(expanded) / MAZES:.1%} take a key on every shortest way")
    for most in (40, 64, 96):
        print(f"  of these solved in {most} expansions: {sum(each <= most for each in expanded) / len(expanded):.1%}")


def seconds(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


if __name__ == "__main__":
    main()
