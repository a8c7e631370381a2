"""Clusters of src/campaign against igraph's Leiden (Debian's python3-igraph).

igraph is GPL and draws in BLAS and GLPK: it judges here and is never linked.
"""

import os
import random
import subprocess
from pathlib import Path

import igraph
import pytest

BUILD = Path(os.environ.get("NOROSHI_BUILD", "build"))
PROGRAM = BUILD / "src/campaign/campaign_cpm_test"


def ours(n, edges, weights, gamma):
    text = f"{n} {gamma}\n" + "".join(
        f"{a} {b} {w:.6f}\n" for (a, b), w in zip(edges, weights))
    out = subprocess.run([PROGRAM, "-"], input=text, capture_output=True,
                         text=True, check=True, timeout=60).stdout
    return [int(x) for x in out.split()]


def objective(n, edges, weights, gamma, label):
    size = {}
    for x in label:
        size[x] = size.get(x, 0) + 1
    inside = sum(w for (a, b), w in zip(edges, weights) if label[a] == label[b])
    return inside - gamma * sum(s * (s - 1) / 2 for s in size.values())


def planted(seed, sizes, inner, strays):
    """Campaigns as chains in time with some shortcuts, and wrong links."""
    r = random.Random(seed)
    edges, start = set(), 0
    for size in sizes:
        for i in range(size):
            for k in range(i + 1, min(size, i + 9)):
                if r.random() < inner:
                    edges.add((start + i, start + k))
        start += size
    n = start + strays
    for _ in range(n // 6):
        a, b = sorted(r.sample(range(n), 2))
        edges.add((a, b))
    edges = sorted(edges)
    return n, edges, [round(r.uniform(.9, .999), 6) for _ in edges]


CASES = {
    "small campaigns": (1, [3, 4, 5, 8, 12, 20, 30, 40, 60], .6, 50, .005),
    "long campaigns": (2, [400, 700, 1000], .5, 100, .005),
    "coarse": (3, [50] * 20, .5, 200, .002),
    "fine": (4, [50] * 20, .5, 200, .02),
    "very fine": (5, [30] * 60, .7, 300, .2),
    "one giant": (6, [3000], .4, 0, .005),
}


@pytest.mark.parametrize("name", CASES)
def test_objective(name):
    seed, sizes, inner, strays, gamma = CASES[name]
    n, edges, weights = planted(seed, sizes, inner, strays)
    graph = igraph.Graph(n=n, edges=edges)
    random.seed(1)
    best = max(objective(n, edges, weights, gamma,
                         graph.community_leiden(
                             objective_function="CPM", weights=weights,
                             resolution_parameter=gamma,
                             n_iterations=10).membership)
               for _ in range(3))
    label = ours(n, edges, weights, gamma)
    assert len(label) == n
    got = objective(n, edges, weights, gamma, label)
    print(f"{name}: {got:.2f} of igraph's {best:.2f} ({got / best:.4f})")
    assert got >= .995 * best
    for x in set(label):
        part = graph.induced_subgraph([i for i in range(n) if label[i] == x])
        assert part.is_connected()
