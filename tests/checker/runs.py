"""One run: the application under gunicorn, its clients, the faults, and the verdict at the end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from threading import Event

from .clients import Client
from .connections import Manner
from .faults import FAULTS, strikes, striking
from .histories import Answer, History, Outcome
from .proxy import CuttingProxy
from .stores import ACCOUNTS, LISTS, STREETS, Store
from .targets import Target
from .verdict import Finding, Stored, compare, judge
from .watching import Watcher

__all__ = ["Plan", "Report", "run"]

ROOT = Path(__file__).parents[2]
LONGEST_REQUEST = 60
"""How many seconds gunicorn waits for requests when it is told to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is done in a run.

    :param seconds: for how long batches are sent.
    :param faults: the names of the faults, of `FAULTS`.
    :param seed: what all dice begin with. The same seed sends the same batches, as far as the answers are the same.
    :param intensity: how much more often than usual faults come.
    :param defect: what is planted into the application, one of `planted.LAYERS`.
    """

    seconds: float
    faults: frozenset[str] = frozenset()
    seed: int = 0
    intensity: float = 1
    clients: int = 8
    workers: int = 2
    threads: int = 4
    defect: str = ""


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    findings: Sequence[Finding]
    histories: Sequence[History]
    figures: dict[str, int]


def run(target: Target, plan: Plan, folder: Path) -> Report:
    """Check the application on an empty database.

    :param folder: gets the log of the server, and the histories.
    """
    stores = [Store(url, target.beside) for url in target.urls]
    faults = frozenset(fault for fault in plan.faults if stores[0].dialect in FAULTS[fault])
    struck: Counter[str] = Counter()
    stores[0].fill()
    log = folder / "server.log"
    log.write_text("")  # each server adds to it
    with Watcher(stores[0]) as watcher:
        clients = _write(target, stores, plan, faults, struck, log)
    target.leave()
    for store in stores:
        store.wait_until_left()
    target.settle()
    histories = [history for client in clients for history in client.histories]
    at_the_end, *elsewhere = (store.stored() for store in stores)
    stored = replace(at_the_end, before=watcher.before, seen=watcher.seen | at_the_end.seen)
    logged = log.read_text("utf-8")
    findings = [*judge(histories, stored, target.refusals), *compare(at_the_end, elsewhere)]
    if defects := logged.count(" flask_atomic.defects "):
        findings.append(Finding("defect", "", f"The log of the server tells of {defects}."))
    _keep(histories, folder / "histories.jsonl")
    for client in clients:
        struck.update({f"client: {manner.value}": times for manner, times in client.manners.items()})
    del struck[f"client: {Manner.PLAIN.value}"]
    figures = _figures(histories, stored, findings)
    figures["retried by the application"] = logged.count("The operations are performed again in")
    figures["rollbacks that failed"] = logged.count(" failed to roll back.")
    return Report(findings, histories, figures | {f"fault: {name}": times for name, times in sorted(struck.items())})


def _write(
    target: Target, stores: Sequence[Store], plan: Plan, faults: frozenset[str], struck: Counter[str], log: Path
) -> list[Client]:
    """Have clients send batches for a while; nothing of it is under way any more when they are returned."""
    dice = Random(plan.seed)
    with ExitStack() as stack:
        ports, servers = [], []
        for url in target.ways or target.urls:
            if "network" in faults:
                proxy = stack.enter_context(CuttingProxy(url, Random(plan.seed), plan.intensity, struck))
                url = proxy.url.render_as_string(hide_password=False)
            port, server = stack.enter_context(_gunicorn(url, target, plan, faults, log))
            ports.append(port)
            servers.append(server)
        clients = _clients(ports, plan, well_mannered="clients" not in faults)
        stop = Event()
        pool = stack.enter_context(ThreadPoolExecutor(plan.clients))
        stack.callback(stop.set)
        working = [pool.submit(client.work, stop) for client in clients]
        with striking(strikes(faults, stores, servers, target.strikes, dice), dice, plan.intensity, struck):
            time.sleep(plan.seconds)
        stop.set()
        for client in working:
            client.result()
    return clients


def _clients(ports: Sequence[int], plan: Plan, *, well_mannered: bool) -> list[Client]:
    return [
        Client(
            ports,
            number,
            Random(f"{plan.seed} {number}"),
            keyed=number % 2 == 0,
            accounts=[str(account) for account in range(1, ACCOUNTS + 1)],
            lists=[str(list_) for list_ in range(1, LISTS + 1)],
            streets=[[str(lamp) for lamp in street] for street in STREETS],
            well_mannered=well_mannered,
        )
        for number in range(plan.clients)
    ]


@contextmanager
def _gunicorn(url: str, target: Target, plan: Plan, faults: frozenset[str], log: Path) -> Iterator[tuple[int, int]]:
    """The port at which the application is served meanwhile, and the process id of gunicorn."""
    options = {**target.application, "small_pool": "pool" in faults, "defect": plan.defect}
    options["fails_once_in"] = round(50 / plan.intensity) if "failures" in faults else 0
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    application = f"tests.checker.application:create_app({url!r}, {arguments})"
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--graceful-timeout", str(LONGEST_REQUEST)]
    command += ["--preload", "--workers", str(plan.workers), "--threads", str(plan.threads)]
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening, log.open("a") as errors:
        file = listening.fileno()
        command += ["--bind", f"fd://{file}", application]
        with subprocess.Popen(command, cwd=ROOT, pass_fds=[file], stderr=errors) as server:
            try:
                port = listening.getsockname()[1]
                _wait_until_it_answers(port)
                yield port, server.pid
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(2 * LONGEST_REQUEST)


def _wait_until_it_answers(port: int) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=LONGEST_REQUEST)) as connection:
        connection.request("OPTIONS", "/operations")
        connection.getresponse().read()


def _figures(histories: Sequence[History], stored: Stored, findings: Sequence[Finding]) -> dict[str, int]:
    tries = [each for history in histories for each in history.tries]
    outcomes = Counter(history.outcome for history in histories)
    answers = [each for each in tries if isinstance(each, Answer)]
    codes = Counter(code for answer in answers for code in answer.codes)
    kinds = Counter(finding.kind for finding in findings)
    figures = {"batches": len(histories), "requests": len(tries)}
    figures |= {outcome.value: outcomes[outcome] for outcome in Outcome}
    unknown = {history.batch.id for history in histories if history.outcome is Outcome.UNKNOWN}
    figures["unknown, and stored"] = len(unknown & set(stored.receipts.values()))
    figures |= {"repeats": len(tries) - len(histories), "replays": sum(answer.is_replay for answer in answers)}
    figures |= {"answers lost": len(tries) - len(answers), **dict(sorted(codes.items()))}
    return figures | {
        f"found: {kind}": kinds[kind]
        for kind in ("lost", "twice", "left", "half", "mixed", "sums", "told", "apart", "defect")
    }


def _keep(histories: Sequence[History], file: Path) -> None:
    with file.open("w", encoding="utf-8") as lines:
        for history in histories:
            lines.write(json.dumps(_told(history)) + "\n")


def _told(history: History) -> dict[str, object]:
    batch = history.batch
    return {
        "batch": batch.id,
        "kind": f"doomed {batch.kind}" if batch.is_doomed else batch.kind,
        "adds": batch.adds,
        "removes": batch.removes,
        "outcome": history.outcome.value,
        "tries": [each._asdict() if isinstance(each, Answer) else each.value for each in history.tries],
    }
