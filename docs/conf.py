"""Configuration of the documentation. Nothing is fetched while it is built: there is no intersphinx."""

import builtins
from importlib.metadata import version as version_of

project = "flask_atomic"
author = "flask_atomic contributors"
project_copyright = "2026, flask_atomic contributors"
release = version = version_of("flask-jsonapi-atomic")

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
default_role = "code"
highlight_language = "python"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

# Every reference to something of ours must lead somewhere; what others document is named without a link.
nitpicky = True
nitpick_ignore = [("py:class", name) for name in dir(builtins)]
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(click|collections|contextlib|datetime|enum|flask|flask_sqlalchemy|marshmallow|marshmallow_jsonapi|pluggy|pytest"
        r"|sqlalchemy|types|typing|uuid|werkzeug)\..*",
    )
]

html_theme = "furo"
html_title = f"flask_atomic {release}"
