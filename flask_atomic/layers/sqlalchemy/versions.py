"""The version of a row: what a mapped class says of its `version_id_col`.

The session puts the version that it knows into the WHERE of each UPDATE and DELETE: what was compared is written, or
nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import flag_modified, instance_state

from ...errors import ConfigurationError

__all__ = ["Version"]


@dataclass(frozen=True, eq=False)
class Version:
    """The `version_id_col` of a mapped class.

    :param name: the attribute that holds the version.
    :param following: makes the version that follows another; None where the database does, or the application.
    :param written: an attribute to write as it is, so that there is an UPDATE where nothing has changed.
    """

    name: str
    following: Callable[[Any], Any] | None
    written: str

    @classmethod
    def of(cls, mapper: Mapper[Any]) -> Version | None:
        """The version of the class's rows, None if they have none.

        :raises ConfigurationError: if the column may be null. A session does not compare the version of such a row
            and gives it none: it would be written over, whatever others have made of it.
        """
        column = mapper.version_id_col
        if column is None:
            return None
        if isinstance(column, Column) and column.nullable and not column.system:
            raise ConfigurationError(
                f"The version_id_col of {mapper.class_.__name__}, '{column.name}', may be null, and rows without a "
                f"version are written over unseen. Give those one, and make the column NOT NULL: nullable=False."
            )
        name = mapper.get_property_by_column(column).key
        following = mapper.version_id_generator
        return cls(name, following if callable(following) else None, _writable(mapper, column) or name)

    def text(self, entity: Any) -> str | None:
        """The version of an entity as clients see it."""
        version = getattr(entity, self.name)
        if version is None:
            return None
        return version.hex() if isinstance(version, bytes) else str(version)

    def renew(self, entity: Any) -> None:
        """Have the next flush write the row, and so give it another version, even if nothing else of it changes."""
        if self.following is None:
            flag_modified(entity, self.written)
        elif self.name not in instance_state(entity).committed_state:  # it has not been done since the last flush
            setattr(entity, self.name, self.following(getattr(entity, self.name)))


def _writable(mapper: Mapper[Any], version: Any) -> str | None:
    """An attribute of the version's table that may be written, but for the key and the version."""
    for each in mapper.column_attrs:
        column = each.columns[0]
        if not isinstance(column, Column) or column.table is not version.table or column.computed is not None:
            continue
        if not (column.primary_key or column is version or column.system or column.server_onupdate):
            return each.key
    return None
