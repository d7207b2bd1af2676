"""What a statement does, told from its text: `read`, `moment`, `control` or `write`.

* `read`: a SELECT of nothing but tables, operators and functions that are known to only read.
* `moment`: as `read`, but with an answer of its own each time: now(), random().
* `control`: begins, marks or commits a transaction; changes no answer by itself.
* `write`: everything else: also a SELECT that locks, or calls a function that is not known here.

Taken on trust: what views, operators, casts and policies of the application's own do inside, its functions that
are called as if they were columns (`row.total`), and those that have the name of one of PostgreSQL's.
Knows nothing of connections. If this is wrong, an old answer is given for a new one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .sqlmask import mask

LONGEST_KEPT = 4096
_SELECT = re.compile(r"[\s(]*(?:select|with)\b", re.IGNORECASE)
# FOR UPDATE and FOR SHARE, data-changing WITH, SELECT INTO, a second statement; also as bare names of columns.
_WRITES = re.compile(r"\b(?:insert|update|delete|merge|into|share)\b|;", re.IGNORECASE)
_MOMENT = re.compile(r"\b(?:current_(?:timestamp|time|date)|localtime(?:stamp)?|tablesample)\b", re.IGNORECASE)
_CONTROL = re.compile(
    r"\s*(?:(?:begin|commit|end)(?:\s+(?:work|transaction))?|start\s+transaction|savepoint\s+\w+"
    r"|release\s+(?:savepoint\s+)?\w+|show\s+[\w.]+)\s*",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"(?P<alias>\bas\s+)?(?P<of>(?:[\w$]+|\"[^\"]*\")\s*\.\s*)?(?P<name>[^\W\d][\w$]*|\"[^\"]*\")\s*\(",
    re.IGNORECASE,
)
# A literal, or a value, that means another moment each time it is cast.
TODAY = re.compile(rb"'\s*(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)



def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_CALLS = _words("""
    all and any array as between by case cast cube current distinct else end except exists filter following
    from group having ilike in inner intersect interval is join lateral left like limit not null of offset on
    or order outer over partition preceding range recursive right rollup row rows select semi sets similar
    some symmetric then to union unknown using values when where with within materialized bit char character
    decimal float numeric time timestamp timestamptz timetz varbit varchar varying
""")
_READING = _words("""
    abs acos array_agg array_append array_cat array_dims array_length array_lower array_position
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii
    asin atan atan2 avg bit_and bit_length bit_or bool_and bool_or btrim cardinality cbrt ceil ceiling
    char_length character_length chr coalesce concat concat_ws convert_from convert_to corr cos cot count
    covar_pop covar_samp cume_dist date date_bin date_part date_trunc decode degrees dense_rank div encode
    every exp extract first_value floor format generate_series generate_subscripts greatest grouping initcap
    int4range int8range isfinite json_agg json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text
    json_object json_object_agg json_object_keys json_populate_record json_strip_nulls json_to_record
    json_to_recordset json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_exists jsonb_extract_path
    jsonb_extract_path_text jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_query
    jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_to_record
    jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag last_value lead least left
    length ln log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp
    max md5 min mod mode nth_value ntile nullif num_nonnulls num_nulls numrange octet_length overlay
    percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery position power
    quote_ident quote_literal radians rank regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regr_slope repeat replace reverse right round row_number row_to_json rpad rtrim
    sha256 sign sin split_part sqrt starts_with stddev stddev_pop stddev_samp string_agg string_to_array
    strpos substr substring sum tan timezone to_char to_date to_json to_jsonb to_number to_timestamp
    to_tsquery to_tsvector translate trim trunc ts_headline ts_rank ts_rank_cd tsrange tstzrange unnest upper
    upper_inc upper_inf var_pop var_samp variance websearch_to_tsquery width_bucket xmlagg
""")
_MOMENTARY = _words("""
    age bernoulli clock_timestamp current_setting gen_random_uuid inet_client_addr now pg_backend_pid
    pg_is_in_recovery random repeatable statement_timestamp timeofday transaction_timestamp
    txid_current uuid_generate_v4 version
""")


def effect(sql: str, functions: frozenset[str] = frozenset()) -> str:
    """Return what a statement does.

    Args:
        sql: its text.
        functions: the application's own that only read, as the SQL calls them, in lower case.
    """
    return _kept(sql, functions) if len(sql) <= LONGEST_KEPT else _effect(sql, functions)


def _effect(sql: str, functions: frozenset[str]) -> str:
    code = mask(sql).rstrip().rstrip(";")
    if _SELECT.match(code) is None:
        return "control" if _CONTROL.fullmatch(code) else "write"
    if _WRITES.search(code):
        return "write"
    found = {_called(call, functions) for call in _CALL.finditer(code)}
    if "write" in found:
        return "write"
    return "moment" if "moment" in found or _MOMENT.search(code) else "read"


_kept = lru_cache(1024)(_effect)


def _called(call: re.Match[str], functions: frozenset[str]) -> str:
    name = call["name"].lower()
    of = (call["of"] or "").rstrip(". \t\r\n").lower()
    if (f"{of}.{name}" if of else name) in functions:
        return "read"
    if of not in ("", "pg_catalog"):
        return "write"
    if name in _MOMENTARY:
        return "moment"
    is_known = name in _READING or (not of and (call["alias"] or name in _NO_CALLS))
    return "read" if is_known else "write"
