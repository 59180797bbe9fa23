"""One endpoint, ready to serve: a body of JSON goes in, and what was performed comes out. It knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from . import document, execution, href, planning, strictjson
from .context import request_served
from .errors import RequestFailed
from .garbage import left_alone
from .idempotency import Idempotency
from .loggers import defects
from .operations import Operation
from .plugins import Plugins
from .repeats import Repeats
from .resources import Catalog, Record
from .retries import Retries
from .settings import Settings
from .steps import Plan

__all__ = ["Service"]

Answer = TypeVar("Answer")

_LARGE = 4_096
"""How long the document of a large request is: it has some dozens of operations."""


class Service:
    """The resource types, plugins and settings of one `Atomic` in one application. Nothing of it ever changes."""

    def __init__(self, catalog: Catalog, plugins: Plugins, settings: Settings, endpoint: href.Endpoint) -> None:
        self.catalog = catalog
        self.plugins = plugins
        self.settings = settings
        self._retries = Retries(limit=settings.retries, seconds=settings.retry_seconds)
        self.endpoint = endpoint
        """Where the application put the endpoint, as far as that is known without a request."""

    def fields_of(self, type_: str) -> frozenset[str] | None:
        """The names of the fields that resources of the type show, None if there is no such type."""
        resource = self.catalog.get(type_)
        return None if resource is None else resource.codec.fields

    def perform(
        self,
        body: bytes | str,
        endpoint: href.Endpoint,
        present: Callable[[Sequence[Record]], Answer],
        elsewhere: href.Elsewhere | None = None,
        idempotency: Idempotency[Answer] | None = None,
    ) -> Answer:
        """Perform the operations of a document, all or none.

        :param endpoint: where the document was sent to, since a `href` is relative to it.
        :param present: makes the answer from a record for each operation. It is called before the commit: what cannot
            be presented is not stored either.
        :param elsewhere: where else in the application a `href` may lead.
        :param idempotency: what the answer is remembered under; None if a repeat is to be performed again.
        :return: the answer.
        :raises RequestFailed: if the request is refused; nothing was changed then, unless the code is
            `partly-committed` or `outcome-unknown`.
        """
        with left_alone() if len(body) >= _LARGE else nullcontext():
            # All that the request made is gone when the collector begins to look again.
            return self._perform(self._plan(body, endpoint, elsewhere), present, idempotency)

    def _plan(self, body: bytes | str, endpoint: href.Endpoint, elsewhere: href.Elsewhere | None) -> Plan:
        operations = self._read(body, endpoint, elsewhere)
        request_served().operations = len(operations)
        members, answer = self.settings.max_members, self.settings.max_answer
        return planning.plan(operations, self.plugins, max_members=members, max_answer=answer)

    def _read(
        self, body: bytes | str, endpoint: href.Endpoint, elsewhere: href.Elsewhere | None
    ) -> Sequence[Operation]:
        return document.read(
            strictjson.parse(body, self.settings.max_depth, self.settings.max_values),
            lambda reference: href.resolve(reference, endpoint, self.catalog, elsewhere),
            self.settings.max_operations,
        )

    def _perform(
        self,
        plan: Plan,
        present: Callable[[Sequence[Record]], Answer],
        idempotency: Idempotency[Answer] | None,
    ) -> Answer:
        repeats = None if idempotency is None else Repeats(plan, self.plugins, idempotency)
        try:
            records, answer = execution.perform(
                plan, self.plugins, present, batch=self.settings.batch, retries=self._retries, repeats=repeats
            )
        except RequestFailed as failure:
            if repeats is None:
                raise
            return repeats.recall_instead_of(failure)
        if records is not None:
            self._tell(records)
        return answer

    def _tell(self, records: Sequence[Record]) -> None:
        for name, committed in self.plugins.committed.items():
            try:
                committed(records=records)
            except Exception:
                defects.exception("The plugin '%s' failed in atomic_committed.", name)
