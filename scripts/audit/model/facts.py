"""What libraries do, by the dotted path of what is called or read: what the audit knows of psycopg2, Flask and so
on.

Tables only; how values move is the interpreter's. A path says how one gets there: `flask.Flask()` is what the call
of the class returns, `flask.request.args[]` an element.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What is the same thing under several names, the longest first.
SAME = (
    ("flask.current_app", "flask.Flask()"),
    ("flask.globals.", "flask."),
    ("quart.", "flask."),
    ("psycopg2.extensions.connection", "psycopg2.connect"),
    ("psycopg2.extras.connect", "psycopg2.connect"),
    ("psycopg2._psycopg.", "psycopg2.extensions."),
    ("psycopg.Connection.connect", "psycopg.connect"),
)
CONNECTS = {
    "psycopg2.connect": "psycopg2", "psycopg.connect": "psycopg", "psycopg2cffi.connect": "psycopg2",
    "sqlite3.connect": "sqlite3", "pg8000.connect": "pg8000", "pg8000.dbapi.connect": "pg8000",
    "MySQLdb.connect": "mysql", "pymysql.connect": "mysql", "mysql.connector.connect": "mysql",
    "pyodbc.connect": "odbc", "cx_Oracle.connect": "oracle", "oracledb.connect": "oracle",
}  # fmt: skip
POOLS = {
    "psycopg2.pool.SimpleConnectionPool": "psycopg2", "psycopg2.pool.ThreadedConnectionPool": "psycopg2",
    "psycopg2.pool.PersistentConnectionPool": "psycopg2", "psycopg2.pool.AbstractConnectionPool": "psycopg2",
    "psycopg_pool.ConnectionPool": "psycopg", "psycopg_pool.NullConnectionPool": "psycopg",
    "backend.ThreadedConnectionPool": "psycopg2", "dbutils.pooled_db.PooledDB": "psycopg2",
    "DBUtils.PooledDB.PooledDB": "psycopg2", "sqlalchemy.pool.QueuePool": "psycopg2",
    "mysql.connector.pooling.MySQLConnectionPool": "mysql",
}  # fmt: skip
ENGINES = ("sqlalchemy.create_engine", "flask_sqlalchemy.SQLAlchemy", "sqlalchemy.engine.create_engine")
CURSOR_CLASSES = re.compile(r"psycopg2\.(extras|extensions)\.\w*[cC]ursor$")
CONNECTION_CLASSES = re.compile(r"psycopg2\.(extras|extensions)\.(\w*Connection|connection)$")
BATCHED = ("psycopg2.extras.execute_values", "psycopg2.extras.execute_batch")
READERS = re.compile(r"(pandas|pd|polars)\.(io\.sql\.)?read_(sql|sql_query|sql_table|database)$")
SQL_MODULE = ("psycopg2.sql.", "psycopg.sql.")
QUOTING = (
    "psycopg2.extensions.quote_ident",
    "psycopg2.extensions.adapt",
    "psycopg2.extras.Json",
    "psycopg2.Binary",
)
AS_GIVEN = (
    "sqlalchemy.text", "sqlalchemy.sql.text", "flask_sqlalchemy.SQLAlchemy().text", "textwrap.dedent",
    "inspect.cleandoc",
    "copy.copy", "copy.deepcopy", "typing.cast", "markupsafe.escape", "flask.escape", "flask.Markup",
    "markupsafe.Markup",
    "werkzeug.utils.secure_filename", "urllib.parse.unquote", "urllib.parse.unquote_plus", "html.escape",
    "os.path.join",
    "collections.OrderedDict", "operator.attrgetter", "itertools.chain", "itertools.islice", "itertools.groupby",
    "functools.wraps()", "asyncio.run", "asgiref.sync.async_to_sync", "bleach.clean", "werkzeug.local.LocalProxy",
    "string.Template", "pandas.DataFrame", "pandas.DataFrame.from_records", "flask.jsonify",
    "flask.json.jsonify", "json.loads", "json.dumps", "flask.json.loads", "flask.json.dumps",
    "inflection.underscore", "inflection.pluralize", "inflection.tableize", "inflection.singularize",
    "collections.deque", "collections.Counter", "more_itertools.chunked", "tqdm.tqdm",
    "itertools.chain.from_iterable",
)  # fmt: skip
SLEEPS = ("time.sleep", "gevent.sleep", "eventlet.sleep", "asyncio.sleep")
HTTP = re.compile(
    r"(requests|httpx|urllib3|niquests)(\.\w+\(\))?\.(get|post|put|patch|delete|head|options|request|send)$"
    r"|urllib\.request\.urlopen$|urllib2\.urlopen$|http\.client\.HTTPS?Connection\(\)\.(request|getresponse)$"
    r"|smtplib\.SMTP(_SSL)?(\(\)\.\w+)?$|flask_mail\.Mail\(\)\.send$|stripe\.\w+\.\w+$|openai\..*create$"
    r"|boto3\.(client|resource)\(\)\.\w+$|twilio\.rest\.Client\(\)\..*create$|sendgrid\..*send$"
)
# What the client sends, and in what shape.
REQUEST = re.compile(
    r"flask\.request\.(args|form|values|json|files|cookies|headers|data|view_args|stream|get_json\(\)|get_data\(\)"
    r"|path|full_path|url|base_url|query_string|remote_addr|referrer|user_agent|host|json_module|authorization"
    r"|environ|access_route|content_type|mimetype|user_agent\.\w+|authorization\.\w+)$"
)
MAPPINGS = ("args", "form", "values", "json", "files", "cookies", "headers", "view_args", "get_json()")
PARSED = re.compile(r"(webargs|flask_restful\.reqparse|flask_restx\.reqparse)\..*parse_args\(\)$")
SESSION = ("flask.session",)
ENVIRONMENT = ("os.environ", "os.getenv()", "decouple.config()", "dotenv.dotenv_values()", "environs.Env()")
REMOTE = re.compile(
    r"(requests|httpx|urllib3)(\.\w+\(\))?\.\w+\(\)\.(json\(\)|text|content)$|json\.load\(\)$|urllib\.request\.urlopen\(\)"
)
FILES = re.compile(r"csv\.(reader|DictReader)\(\)$|pandas\.read_(csv|excel|json)\(\)$|json\.load\(\)$")
# Decorators and calls that hang a function on the app.
ROUTED = ("route", "get", "post", "put", "delete", "patch")
HOOKS = frozenset({
    "before_request", "after_request", "teardown_request", "teardown_appcontext", "before_app_request",
    "after_app_request", "teardown_app_request", "errorhandler", "app_errorhandler", "context_processor",
    "app_context_processor", "url_value_preprocessor", "user_loader", "request_loader", "before_first_request",
    "before_app_first_request", "template_filter", "app_template_filter", "template_global", "verify_password",
    "token_in_blocklist_loader", "user_lookup_loader", "user_identity_loader", "additional_claims_loader",
    "get_user_roles",
    "verify_token", "template_test", "register_error_handler", "unauthorized_handler",
})  # fmt: skip
TEARDOWNS = frozenset(
    {"teardown_request", "teardown_appcontext", "after_request", "teardown_app_request", "after_app_request"}
)
VIEW_BASES = re.compile(
    r"(flask\.views\.(MethodView|View)|flask_restful\.Resource|flask_restx\.Resource|flask_restplus\.Resource)$"
)
VIEW_METHODS = ("get", "post", "put", "delete", "patch", "head", "dispatch_request")
FORM_BASES = re.compile(r"(flask_wtf\.(FlaskForm|Form)|flask_wtf\.form\.FlaskForm|wtforms\.(Form|form\.Form))$")
CONTEXT_MANAGERS = ("contextlib.contextmanager", "contextlib.asynccontextmanager")
# Hand a function on to be run: "x.y" ends of paths.
RUNS_LATER = (
    "submit",
    "apply_async",
    "add_job",
    "start_new_thread",
    "spawn",
    "run_in_executor",
    "call_later",
    "apply",
)
MAPS = ("map", "imap", "imap_unordered", "starmap")
# On a receiver that nothing is known of, these names leave no doubt, or little.
STATEMENT_NAMES = ("execute", "executemany")
FETCHES = {"fetchall": "rows", "fetchmany": "rows", "fetchone": "row", "fetchval": "value"}
SQL_START = re.compile(
    r"\s*(/\*.*?\*/\s*|--[^\n]*\n\s*)*\(?\s*(select|insert|update|delete|with|create|drop|alter|truncate|begin|commit|"
    r"rollback|set|lock|copy|vacuum|analyze|explain|values|merge|call|do|grant|revoke|listen|notify|refresh|table|show|"
    r"declare|fetch|close|savepoint|release|reindex|comment|start)\b",
    re.IGNORECASE | re.DOTALL,
)
CURSOR_NAMES = re.compile(
    r"(^|_)(cur|curs|cursor|crsr|c|dbcur|db_cur|conn|connection|con|db|database|session|engine|tx)\d*$", re.I
)


@lru_cache(maxsize=50_000)
def canonical(path: str) -> str:
    """Return the one name of what has several."""
    for name, same in SAME:
        if path.startswith(name):
            return same + path[len(name) :]
    return path


@lru_cache(maxsize=50_000)
def request_shape(path: str) -> str | None:
    """Return the shape of what a path reads from the request, or None when it reads nothing from it."""
    match = REQUEST.match(path)
    if match is None:
        return "row" if PARSED.search(path) else None
    return "row" if match[1] in MAPPINGS else "value"
