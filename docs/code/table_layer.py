# <head>
"""A data layer on SQLite, without an ORM."""

import json
import re
import sqlite3
from types import SimpleNamespace

from flask_atomic import ConfigurationError, Conflict, Transient, Unprocessable, hookimpl


class TableLayer:
    """Keeps each resource type in a table of an SQLite database; the table's column `id` is its key.

    Options of `Atomic.resource`: `table` is the name of the table; `links` has, for each to-many relationship, the
    name of a table with the columns `owner` and `member`.
    """

    def __init__(self, path, name="tables"):
        self.path = path
        self.name = name

    # </head>

    # <claim>
    @hookimpl
    def atomic_claim(self, resource):
        if "table" not in resource.options:
            return None
        for relationship in resource.relationships.values():
            if relationship.many and relationship.attribute not in resource.options.get("links", {}):
                raise ConfigurationError(
                    f"'{relationship.name}' of '{resource.type}' needs a table. Name it in links= of the resource."
                )
        return self

    # </claim>

    # <unit>
    @hookimpl
    def atomic_begin(self):
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.row_factory = _entity
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            _execute(connection, "BEGIN IMMEDIATE")
        except BaseException:
            connection.close()
            raise
        return connection

    @hookimpl
    def atomic_commit(self, unit):
        _execute(unit, "COMMIT")
        unit.close()

    @hookimpl
    def atomic_rollback(self, unit):
        unit.close()  # SQLite rolls back what is not committed

    # </unit>

    # <parse_id>
    @hookimpl
    def atomic_parse_id(self, text):
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) else None

    # </parse_id>

    # <get>
    @hookimpl
    def atomic_get(self, unit, resource, ids):
        found = _execute(
            unit,
            f"SELECT * FROM {_table(resource)} WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(ids)),
        )
        return {entity.id: entity for entity in found}

    # </get>

    # <identify>
    @hookimpl
    def atomic_identify(self, entity):
        return entity.id

    # </identify>

    # <add>
    @hookimpl
    def atomic_add(self, unit, resource, id, attributes, relationships):
        columns = {"id": id, **attributes, **_foreign_keys(relationships)}
        names = ", ".join(map(_quoted, columns))
        places = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {_table(resource)} ({names}) VALUES ({places}) RETURNING *"
        (entity,) = _execute(unit, insert, *columns.values())
        self._set_members(unit, resource, entity, relationships)
        return entity

    # </add>

    # <update>
    @hookimpl
    def atomic_update(self, unit, resource, entity, attributes, relationships):
        columns = {**attributes, **_foreign_keys(relationships)}
        if columns:
            values = ", ".join(f"{_quoted(name)} = ?" for name in columns)
            update = f"UPDATE {_table(resource)} SET {values} WHERE id = ? RETURNING *"
            (written,) = _execute(unit, update, *columns.values(), entity.id)
            vars(entity).update(vars(written))
        self._set_members(unit, resource, entity, relationships)
        return entity

    # </update>

    # <remove>
    @hookimpl
    def atomic_remove(self, unit, resource, entity):
        _execute(unit, f"DELETE FROM {_table(resource)} WHERE id = ?", entity.id)

    # </remove>

    # <set_relationship>
    @hookimpl
    def atomic_set_relationship(self, unit, resource, entity, relationship, related):
        self.atomic_update(unit, resource, entity, {}, {relationship: related})

    # </set_relationship>

    # <members>
    @hookimpl
    def atomic_add_to_relationship(self, unit, resource, entity, relationship, related):
        insert = f"INSERT OR IGNORE INTO {_links(resource, relationship)} (owner, member) VALUES (?, ?)"
        for reference in related:
            _execute(unit, insert, entity.id, reference.id)

    @hookimpl
    def atomic_remove_from_relationship(self, unit, resource, entity, relationship, related):
        delete = f"DELETE FROM {_links(resource, relationship)} WHERE owner = ? AND member = ?"
        for reference in related:
            _execute(unit, delete, entity.id, reference.id)

    def _set_members(self, unit, resource, entity, relationships):
        for relationship, related in relationships.items():
            if relationship.many:
                _execute(unit, f"DELETE FROM {_links(resource, relationship)} WHERE owner = ?", entity.id)
                self.atomic_add_to_relationship(unit, resource, entity, relationship, related)

    # </members>

    # <linkage>
    @hookimpl
    def atomic_linkage(self, unit, resource, entities, relationship):
        if not relationship.many:
            return [getattr(entity, relationship.attribute) for entity in entities]
        members = {entity.id: [] for entity in entities}
        select = (
            f"SELECT owner, member FROM {_links(resource, relationship)} "
            f"WHERE owner IN (SELECT value FROM json_each(?)) ORDER BY member"
        )
        for link in _execute(unit, select, json.dumps(list(members))):
            members[link.owner].append(link.member)
        return [members[entity.id] for entity in entities]

    # </linkage>


# <statements>
def _entity(cursor, row):
    names = (column[0] for column in cursor.description)
    return SimpleNamespace(**dict(zip(names, row, strict=True)))


def _table(resource):
    return _quoted(resource.options["table"])


def _links(resource, relationship):
    return _quoted(resource.options["links"][relationship.attribute])


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _foreign_keys(relationships):
    return {
        relationship.attribute: None if related is None else related.id
        for relationship, related in relationships.items()
        if not relationship.many
    }


# </statements>


# <errors>
_UNACCEPTABLE = (sqlite3.SQLITE_CONSTRAINT_NOTNULL, sqlite3.SQLITE_CONSTRAINT_CHECK)


def _execute(connection, statement, *parameters):
    try:
        return connection.execute(statement, parameters).fetchall()
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode in _UNACCEPTABLE:
            raise Unprocessable("A value is missing, or not one that the table allows.") from error
        raise Conflict("The operation contradicts what is stored.") from error
    except (OverflowError, sqlite3.ProgrammingError) as error:
        raise Unprocessable("A value cannot be stored.") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise Transient("The database is busy.") from error
        raise


# </errors>
