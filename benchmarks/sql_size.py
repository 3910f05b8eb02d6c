"""How large the SQL of a network is: the project's, which reads the weights, beside orbital's.

posit-dev's orbital writes every weight into the query. It needs libraries of its own, so this runs
in `.venv-orbital`, and is told the size of the project's SQL. Networks are untrained:
a size does not depend on what a net has learned.
"""

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np
import orbital
import orbital.types
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

# dimensions, hidden units, classes; the largest takes orbital some seconds, and 384-128-2 minutes
NETWORKS = ((16, 8, 2), (64, 16, 2), (128, 16, 2), (256, 16, 2))


def size_of(dimensions: int, hidden: int, classes: int) -> tuple[int, float]:
    """Return how many characters orbital's query has, and the seconds that it took."""
    random = np.random.default_rng(0)
    net = MLPClassifier((hidden,), max_iter=1)
    net.fit(random.normal(size=(10 * classes, dimensions)), np.arange(10 * classes) % classes)
    columns = {f"x{number}": orbital.types.DoubleColumnType() for number in range(dimensions)}
    start = time.perf_counter()
    parsed = orbital.parse_pipeline(Pipeline([("net", net)]), features=columns)
    query = orbital.export_sql("vectors", parsed, dialect="duckdb")
    return len(query), time.perf_counter() - start


def main() -> None:
    """Print both sizes for each network, and how orbital's grows with the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=int, required=True, help="characters of the project's SQL")
    ours = parser.parse_args().ours
    warnings.simplefilter("ignore")
    print(f"{'characters of SQL':<22}{'ours':>8}{'orbital':>10}{'ratio':>8}{'its seconds':>14}")
    sizes = []
    for network in NETWORKS:
        size, seconds = size_of(*network)
        sizes.append(size)
        name = "-".join(map(str, network))
        print(f"  {name:<20}{ours:>8}{size:>10}{size / ours:>8.1f}{seconds:>14.1f}", flush=True)
    weights = [d * h + h * c for d, h, c in NETWORKS]
    (w0, w1), (s0, s1) = list(pairwise(weights))[-1], list(pairwise(sizes))[-1]
    print(f"  orbital's grows by {(s1 - s0) / (w1 - w0):.0f} characters with every weight")


if __name__ == "__main__":
    main()
