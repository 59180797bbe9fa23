"""The endpoint: which resource types it serves, from which data layer, and what may be done with them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

from . import models, schemas

__all__ = ["atomic"]

atomic = Atomic(SQLAlchemyLayer(models.db), MemoryLayer())

atomic.resource(schemas.MusicTrackSchema, model=models.MusicTrack, client_ids="allowed")
atomic.resource(schemas.PerformerSchema, model=models.Performer)
atomic.resource(schemas.PlaylistSchema, model=models.Playlist)
atomic.resource(schemas.RecordCompanySchema, model=models.RecordCompany)
atomic.resource(schemas.LyricSchema, model=models.Lyric)
atomic.resource(schemas.TextLanguageSchema, model=models.TextLanguage, client_ids="required")
atomic.resource(
    schemas.AuditEntrySchema,
    layer="memory",  # each process has its own entries, and forgets them when it ends
    operations={"add"},
    defaults={"at": lambda: datetime.now(UTC)},
)
