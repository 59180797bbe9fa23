"""What a large request makes is not looked through for garbage while it is being made.

Nearly all of it is in use until the request is answered, and then goes at once, by reference counts. The collector of
Python takes it for long-lived meanwhile, and looks through everything that the process holds again and again: that
may take as long as the operations themselves, and frees nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["left_alone"]


@contextmanager
def left_alone() -> Iterator[None]:
    """Have the collector wait, for all threads. Where several ask for it at once, it waits for one of them at least."""
    is_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_running:
            gc.enable()
