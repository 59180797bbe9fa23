"""The plot of the documentation: `python -m benchmarks.plot FIGURES.json PLOT.svg`. It takes the extra `bench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from .client import Json
from .servers import SERVERS

__all__ = ["draw"]

_OURS = "#b3261e"
_BY_HAND = "#4a6fa5"
_PEERS = "#8a8a8a"
_MARKS = {"floor": "v", "orm": "o", "orm-each": "s", "drf": "^", "ninja": "D", "fastapi": "P"}


def draw(growth: Json, path: Path) -> None:
    """Draw what an `add` costs against the number of operations in the request.

    :param growth: the figures of `benchmarks.growth`.
    :param path: where to write the plot, as SVG.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "flask_atomic", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.4), layout="constrained")
    for name, sizes in growth["adds"].items():
        _line(axes, name, sizes)
    axes.set(
        xscale="log", yscale="log", xlabel="operations in a request", ylabel="microseconds for each operation (adds)"
    )
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _line(axes: Any, name: str, sizes: Json) -> None:
    counts = [int(size) for size in sizes]
    each = [median(of_size["seconds"]) / int(size) * 1e6 for size, of_size in sizes.items()]
    server = SERVERS[name]
    color = _OURS if name == "ours" else _BY_HAND if server.peer is None else _PEERS
    width = 2.5 if name == "ours" else 1.2
    axes.plot(
        counts, each, color=color, linewidth=width, marker=_MARKS.get(name, "o"), markersize=4, label=server.title
    )


if __name__ == "__main__":
    source, target = sys.argv[1:]
    draw(json.loads(Path(source).read_text())["growth"], Path(target))
