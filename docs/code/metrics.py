"""Timing metrics in the text format of Prometheus."""

from collections import Counter
from threading import Lock
from time import perf_counter

from flask_atomic import hookimpl


# <plugin>
def timed(hook):
    @hookimpl(wrapper=True)
    def wrapper(self):
        started, outcome = perf_counter(), "failed"
        try:
            result = yield
            outcome = "done"
            return result
        finally:
            self.observe(f'{{hook="{hook}",outcome="{outcome}"}}', perf_counter() - started)

    return wrapper


class Metrics:
    """Counts the calls of a data layer's hooks, and the seconds that they took."""

    def __init__(self):
        self.calls, self.seconds = Counter(), Counter()
        self._lock = Lock()

    atomic_get = timed("get")
    atomic_add = timed("add")
    atomic_update = timed("update")
    atomic_remove = timed("remove")
    atomic_flush = timed("flush")
    atomic_commit = timed("commit")

    def observe(self, labels, seconds):
        with self._lock:
            self.calls[labels] += 1
            self.seconds[labels] += seconds

    def text(self):
        with self._lock:
            lines = [f"atomic_hook_seconds_count{labels} {calls}" for labels, calls in self.calls.items()]
            lines += [f"atomic_hook_seconds_sum{labels} {seconds}" for labels, seconds in self.seconds.items()]
        return "\n".join([*lines, ""])


# </plugin>
