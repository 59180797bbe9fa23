"""`flask atomic layers` and `flask atomic check`: what they show of an application, and how they fail."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Blueprint, Flask
from flask.cli import ScriptInfo
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import fields
from sqlalchemy import Engine, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import Atomic, MemoryLayer, cli, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer, idempotency_table
from tests.application import application, schema

ROOT = Path(__file__).parents[1]
CODE = ROOT / "docs" / "code"

BOATS = schema("boats", name=fields.Str())


def run(create_app, *arguments: str) -> Result:
    """Run `flask atomic` with these arguments on the application that a function makes."""
    return CliRunner().invoke(cli.atomic, arguments, obj=ScriptInfo(create_app=create_app))


def output(create_app, *arguments: str) -> str:
    result = run(create_app, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def one(*plugins, **config) -> Flask:
    """An application that serves boats with these plugins."""
    atomic = Atomic(*plugins)
    atomic.resource(BOATS)
    return application(atomic, **config)


def row(tables: str, first: str) -> list[str]:
    """The cells of the row that begins so; the dashes below the heading show where they are."""
    for table in tables.split("\n\n"):
        for line in table.splitlines():
            if line.split(" ")[0] == first:
                return [
                    line[dashes.start() : dashes.end()].strip() for dashes in re.finditer("-+", table.splitlines()[1])
                ]
    raise LookupError(first)


class TestLayers:
    def test_each_type_has_its_layer(self):
        left_out = ("atomic_prepare", "__dict__", "__weakref__")
        kept = {name: member for name, member in vars(MemoryLayer).items() if name not in left_out}
        without_vote = type("WithoutVote", (), kept)
        atomic = Atomic(MemoryLayer(), without_vote("fleet"))
        atomic.resource(BOATS)
        atomic.resource(schema("ships"), layer="fleet", collection="fleet")

        shown = output(lambda: application(atomic), "layers")

        assert shown.startswith(
            "atomic (/api/operations)\n"
            "\n"
            "type   collection  layer   class        votes\n"
            "-----  ----------  ------  -----------  -----\n"
            "boats              memory  MemoryLayer  yes\n"
            "ships  fleet       fleet   WithoutVote  no\n"
            "\n"
        )

    def test_each_hook_has_those_who_have_it_and_those_who_wrap_it(self):
        class Audit:
            @hookimpl(wrapper=True)
            def atomic_add(self):
                return (yield)

            @hookimpl
            def atomic_committed(self, records):
                """Hear nothing."""

        class Outermost:
            @hookimpl(wrapper=True, tryfirst=True)
            def atomic_add(self):
                return (yield)

            @hookimpl(wrapper=True)
            def atomic_authorize(self):
                return (yield)

        shown = output(lambda: one(Outermost(), MemoryLayer(), Audit()), "layers")

        assert row(shown, "hook") == ["hook", "memory", "Audit", "wrapped by"]
        assert row(shown, "atomic_begin") == ["atomic_begin", "yes", "", ""]
        assert row(shown, "atomic_flush") == ["atomic_flush", "", "", ""]
        assert row(shown, "atomic_add") == ["atomic_add", "yes", "", "Outermost, Audit"]
        assert row(shown, "atomic_committed") == ["atomic_committed", "", "yes", ""]
        assert row(shown, "atomic_authorize") == ["atomic_authorize", "", "", "Outermost"]

    def test_columns_without_content_are_left_out(self):
        assert row(output(lambda: one(MemoryLayer()), "layers"), "hook") == ["hook", "memory"]

    def test_an_endpoint_without_types_has_its_hooks(self):
        shown = output(lambda: application(Atomic(MemoryLayer())), "layers")

        assert "votes" not in shown
        assert row(shown, "atomic_begin") == ["atomic_begin", "yes"]


class TestEndpoints:
    @staticmethod
    def create_app() -> Flask:
        app = Flask("boats")
        public, internal = Atomic(MemoryLayer()), Atomic(MemoryLayer("store"), name="internal", path="/batch")
        own = Atomic(MemoryLayer("own"), path="/own", blueprint=Blueprint("admin", __name__))
        for atomic in (public, internal, own):
            atomic.resource(BOATS)
        app.register_blueprint(public.blueprint, url_prefix="/<tenant>/v1")
        app.register_blueprint(public.blueprint, url_prefix="/v2", name="second")
        parent = Blueprint("parent", __name__, url_prefix="/parent")
        parent.register_blueprint(internal.blueprint)
        app.register_blueprint(parent)
        app.register_blueprint(own.blueprint)
        return app

    def test_each_is_shown_with_its_name_and_url(self):
        assert output(self.create_app, "check") == (
            "atomic (/<tenant>/v1/operations)\n"
            "boats: served by 'memory'\n"
            "second (/v2/operations)\n"
            "boats: served by 'memory'\n"
            "parent.internal (/parent/batch)\n"
            "boats: served by 'store'\n"
            "admin (/own)\n"
            "boats: served by 'own'\n"
        )

    def test_each_has_tables_of_its_own(self):
        shown = output(self.create_app, "layers")

        assert shown.count("atomic_begin ") == shown.count("boats ") == 4


class Base(DeclarativeBase):
    """The models of the applications that are checked."""


class Boat(Base):
    __tablename__ = "boats"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(40))


KEYS = idempotency_table(Base.metadata)


class TestConnect:
    """`flask atomic check --connect`."""

    @staticmethod
    def check(url: str, **options: str) -> Result:
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(create_engine(url, **options))), MemoryLayer())
        atomic.resource(BOATS, model=Boat)
        atomic.resource(schema("seas"))
        return run(lambda: application(atomic), "check", "--connect")

    @pytest.fixture
    def engine(self, database_url: str) -> Engine:
        engine = create_engine(database_url)
        Base.metadata.create_all(engine)
        return engine

    def test_stores_that_are_there(self, engine: Engine, database_url: str) -> None:
        assert self.check(database_url).exit_code == 0
        with engine.connect() as connection:
            assert connection.scalar(select(KEYS)) is None

    def test_a_table_that_is_missing(self, engine: Engine, database_url: str) -> None:
        Boat.__table__.drop(engine)

        result = self.check(database_url)

        assert result.exit_code == 1
        assert result.stderr.startswith(
            "Error: atomic (/api/operations): atomic_get of the plugin 'sqlalchemy' raised "
        )
        assert "boats" in result.stderr

    def test_the_table_of_the_keys_is_missing(self, engine: Engine, database_url: str) -> None:
        KEYS.drop(engine)

        assert self.check(database_url).stderr == (
            "Error: atomic (/api/operations): atomic_recall of the plugin 'sqlalchemy' raised ConfigurationError. The "
            "table 'atomic_idempotency_keys' cannot be read. It was declared by idempotency_table(metadata); make it "
            "as those of the models are made, by a migration or by metadata.create_all().\n"
        )

    def test_a_store_that_is_not_there(self) -> None:
        result = self.check("postgresql+psycopg://postgres@127.0.0.1:1/test")

        assert result.stderr.startswith(
            "Error: atomic (/api/operations): The store is busy or cannot be reached. connection failed: "
        )

    def test_an_engine_that_is_not_known_before(self) -> None:
        db = SQLAlchemy(engine_options={"isolation_level": "AUTOCOMMIT"})
        atomic = Atomic(SQLAlchemyLayer(db))
        atomic.resource(BOATS, model=Boat)

        def create_app() -> Flask:
            app = application(atomic, SQLALCHEMY_DATABASE_URI="sqlite://")
            db.init_app(app)
            return app

        assert (
            "raised ConfigurationError. The engine of sqlite:// is set to AUTOCOMMIT"
            in run(create_app, "check", "--connect").stderr
        )


class TestFailures:
    @pytest.mark.parametrize("command", ["layers", "check"])
    def test_a_mistake_in_the_set_up_is_told(self, command):
        result = run(lambda: one(MemoryLayer(), ATOMIC_BATCH="yes"), command)

        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: ATOMIC_BATCH is 'yes'. It must be True or False.\n"

    @pytest.mark.parametrize("command", ["layers", "check"])
    def test_an_application_without_an_endpoint(self, command):
        result = run(lambda: Flask("empty"), command)

        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            "Error: No Atomic is registered in this application. Call app.register_blueprint(atomic.blueprint).\n"
        )

    def test_any_other_failure_is_left_to_flask(self):
        def create_app():
            raise OSError("no disk")

        assert isinstance(run(create_app, "check").exception, OSError)


# -------------------------------------------------------------------------------------------------- the real command

APPLICATION = """
from flask import Flask
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer


class BoatSchema(Schema):
    id = fields.Str()

    class Meta:
        type_ = "boats"


def create_app(**options):
    app = Flask(__name__)
    atomic = Atomic(MemoryLayer())
    atomic.resource(BoatSchema, **options)
    app.register_blueprint(atomic.blueprint)
    return app
"""


def flask(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command `flask` in a folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "EXAMPLE_"))}
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def boats(tmp_path: Path) -> Path:
    """A folder with an application."""
    (tmp_path / "boats.py").write_text(APPLICATION, "utf-8")
    return tmp_path


class TestCommand:
    def test_it_loads_the_application(self, boats):
        done = flask(boats, "--app", "boats", "atomic", "check")

        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "atomic (/operations)\nboats: served by 'memory'\n",
            "",
        )

    def test_a_mistake_in_the_set_up_is_a_reason_and_no_traceback(self, boats):
        done = flask(boats, "--app", "boats:create_app(layer='redis')", "atomic", "check")

        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            "Error: 'boats' asks for the layer 'redis', which is not there. The layers are: 'memory'.\n",
        )

    def test_a_mistake_while_the_module_is_imported(self, boats):
        with (boats / "boats.py").open("a", encoding="utf-8") as file:
            file.write("\napp = create_app(client_ids='maybe')\n")

        done = flask(boats, "--app", "boats", "atomic", "layers")

        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            "Error: client_ids='maybe' is not 'forbidden', 'allowed' or 'required'.\n",
        )

    def test_without_an_application_flask_says_so(self, tmp_path):
        done = flask(tmp_path, "atomic", "check")

        assert done.returncode == 2
        assert "Could not locate a Flask application." in done.stderr

    def test_the_commands_are_listed(self, boats):
        done = flask(boats, "atomic", "--help")

        assert done.returncode == 0
        assert {"check", "layers", "purge"} <= set(done.stdout.split())

    def test_the_demo(self, sqlite_url):
        done = flask(ROOT, "--app", "example", "atomic", "check", EXAMPLE_DATABASE_URL=sqlite_url)

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "atomic (/api/operations)\n"
            "musicTracks: served by 'sqlalchemy'\n"
            "performers: served by 'sqlalchemy'\n"
            "playlists: served by 'sqlalchemy'\n"
            "recordCompanies: served by 'sqlalchemy'\n"
            "lyrics: served by 'sqlalchemy'\n"
            "textLanguages: served by 'sqlalchemy'\n"
            "auditEntries: served by 'memory'\n"
        )


_SHOWN = dict(re.findall(r"^### (.+)\n([^#]*)", (CODE / "blog.console").read_text("utf-8"), re.MULTILINE))
"""The sections of the commands that the documentation shows."""


class TestDocumentation:
    """What the page on commands shows is what they print."""

    @pytest.mark.parametrize(("section", "returned"), [("check", 0), ("mistake", 1), ("layers", 0), ("purge", 0)])
    def test_a_command(self, section, returned):
        command, _, shown = _SHOWN[section].partition("\n")
        program, *arguments = shlex.split(command.removeprefix("$ "))
        assert program == "flask"

        done = flask(CODE, *arguments)

        assert (done.returncode, (done.stderr + done.stdout).strip()) == (returned, shown.strip())

    def test_every_command_is_run(self):
        assert list(_SHOWN) == ["check", "mistake", "layers", "purge"]
