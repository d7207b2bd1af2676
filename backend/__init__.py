"""The runtime: what runs inside a Flask + psycopg2 app in production. Copy this folder, under any name."""

from . import system_metrics
from .adopt import adopt
from .after_commit import after_commit
from .auth import Auth
from .batch import Found, Ownership, exists_by_ids, fetch_by_ids, fetch_grouped, json_by_ids, owned_by_ids
from .batch_parts import Part
from .batch_routes import batch_routes
from .batch_write import execute_many, insert_many, upsert_many
from .batched import batched
from .bulk_decrypt import decrypt_rows
from .cache import Cache
from .cache_stats import cache_stats
from .compress import compress
from .database_helper import close_pool, get_db_connection, get_pool, install, transaction, uninstall
from .database_pool import SimpleConnectionPool, ThreadedConnectionPool
from .errors import (
    AppLoadError,
    BatchError,
    CacheError,
    CursorError,
    DecryptError,
    HardenError,
    MonitorError,
    NodeError,
    OneTimeRefused,
    OneTimeUnavailable,
    PageError,
    ParameterError,
    PoolClosed,
    PoolTimeout,
    PoolTooBusy,
    QueryCountError,
    RepeatsError,
    SchemaError,
    SessionStateError,
    SettingsError,
    StreamBusy,
    StreamError,
    TokenRefused,
)
from .extension import Hardening
from .formats import FLASK_JSON, STR_JSON, Formats
from .formatted import Formatted, formatted
from .http import json_response
from .http_policy import http_policy, mark_sensitive, sensitive
from .loader import Lazy, Loader, loading
from .log_format import JsonLines, RequestFilter, TextLines
from .memory_timers import memory_tracker, track_memory
from .monitor import watching
from .nested import many, one
from .nested_pages import paged
from .nodecheck import Problem, check, describe
from .numbered_pages import NumberedPage, NumberedPages
from .oauth_state import OAuthStates
from .one_time import OneTimeSecrets
from .one_time_postgres import PostgresSecrets
from .one_time_redis import RedisSecrets
from .page_routes import list_routes, page_response
from .pagination import CursorPages, Page
from .per_request import connection_per_request, cursor_per_request
from .pool_options import PoolOptions
from .prefetch import prefetched
from .projection import Projection, role_projection, tenant_projection, user_projection
from .query_assertions import assert_queries, no_repeats
from .query_cache import CachingConnection, QueryStore, cache_queries, cached_cursor, query_cache, uncached
from .query_counter import QueryCounter
from .rate_limits import needs_store, rate_limits
from .report_routes import Report, report_routes
from .returned import Written
from .row_formats import CSV, CSV_RFC4180, CSV_SPREADSHEET, CsvDialect
from .shorthand import Tree, many_from, one_from
from .static_files import hashed_static, serve_static, write_hashed
from .stored import Stored, stored
from .stream_source import StreamOptions
from .streaming import stream_csv, stream_json, stream_ndjson
from .timers import timeit, timer
from .timings import timings
from .tokens import TokenVerifier
from .trusted_hosts import trust_hosts
from .versioned import etag_of, must_match, not_modified, versioned

__all__ = [
    "CSV",
    "CSV_RFC4180",
    "CSV_SPREADSHEET",
    "FLASK_JSON",
    "STR_JSON",
    "AppLoadError",
    "Auth",
    "BatchError",
    "Cache",
    "CacheError",
    "CachingConnection",
    "CsvDialect",
    "CursorError",
    "CursorPages",
    "DecryptError",
    "Formats",
    "Formatted",
    "Found",
    "HardenError",
    "Hardening",
    "JsonLines",
    "Lazy",
    "Loader",
    "MonitorError",
    "NodeError",
    "NumberedPage",
    "NumberedPages",
    "OAuthStates",
    "OneTimeRefused",
    "OneTimeSecrets",
    "OneTimeUnavailable",
    "Ownership",
    "Page",
    "PageError",
    "ParameterError",
    "Part",
    "PoolClosed",
    "PoolOptions",
    "PoolTimeout",
    "PoolTooBusy",
    "PostgresSecrets",
    "Problem",
    "Projection",
    "QueryCountError",
    "QueryCounter",
    "QueryStore",
    "RedisSecrets",
    "RepeatsError",
    "Report",
    "RequestFilter",
    "SchemaError",
    "SessionStateError",
    "SettingsError",
    "SimpleConnectionPool",
    "Stored",
    "StreamBusy",
    "StreamError",
    "StreamOptions",
    "TextLines",
    "ThreadedConnectionPool",
    "TokenRefused",
    "TokenVerifier",
    "Tree",
    "Written",
    "adopt",
    "after_commit",
    "assert_queries",
    "batch_routes",
    "batched",
    "cache_queries",
    "cache_stats",
    "cached_cursor",
    "check",
    "close_pool",
    "compress",
    "connection_per_request",
    "cursor_per_request",
    "decrypt_rows",
    "describe",
    "etag_of",
    "execute_many",
    "exists_by_ids",
    "fetch_by_ids",
    "fetch_grouped",
    "formatted",
    "get_db_connection",
    "get_pool",
    "hashed_static",
    "http_policy",
    "insert_many",
    "install",
    "json_by_ids",
    "json_response",
    "list_routes",
    "loading",
    "many",
    "many_from",
    "mark_sensitive",
    "memory_tracker",
    "must_match",
    "needs_store",
    "no_repeats",
    "not_modified",
    "one",
    "one_from",
    "owned_by_ids",
    "page_response",
    "paged",
    "prefetched",
    "query_cache",
    "rate_limits",
    "report_routes",
    "role_projection",
    "sensitive",
    "serve_static",
    "stored",
    "stream_csv",
    "stream_json",
    "stream_ndjson",
    "system_metrics",
    "tenant_projection",
    "timeit",
    "timer",
    "timings",
    "track_memory",
    "transaction",
    "trust_hosts",
    "uncached",
    "uninstall",
    "upsert_many",
    "user_projection",
    "versioned",
    "watching",
    "write_hashed",
]
