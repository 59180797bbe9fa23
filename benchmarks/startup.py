"""How long a process takes to start: imports, and the registration of many resource types."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from .client import Json
from .options import Options
from .table import Table

__all__ = ["measure", "tables"]


def measure(options: Options) -> Json:
    """Return how many types there are, and the seconds of each step in several processes."""
    figures: Json = {"types": options.types, "seconds": {}}
    for _ in range(2 * options.rounds + 1 if options.most_runs > 1 else 1):
        command = [sys.executable, "-m", "benchmarks.registration", str(options.types)]
        steps = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for step, seconds in steps.items():
            figures["seconds"].setdefault(step, []).append(seconds)
    return figures


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    titles = {
        "dependencies": "import what `flask_atomic` needs: Flask-SQLAlchemy, marshmallow-jsonapi, pluggy",
        "import": "then import `flask_atomic`",
        "declare": f"declare {figures['types']} resource types",
        "register": "register the blueprint",
        "request": "the first request",
    }
    rows = [[titles[step], f"{median(seconds) * 1000:.1f}"] for step, seconds in figures["seconds"].items()]
    return [Table("startup", "Start-up: median milliseconds", ["", "ms"], rows)]
