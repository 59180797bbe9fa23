"""Distributions as an installer leaves them in a folder: a module, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path


def install(folder: Path, name: str, source: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Put a distribution into a folder that is, or will be, on the path.

    :param name: its name; the module is called like it, with underscores.
    :param source: the text of the module.
    :param groups: its entry points, by group and name.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source, "utf-8")
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    parser = ConfigParser()
    parser.read_dict(groups)
    with (information / "entry_points.txt").open("w", encoding="utf-8") as file:
        parser.write(file)
