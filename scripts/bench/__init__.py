"""Measurements of the runtime beside what it replaces: same machine, same server, same minute.

    command       the verb: arguments, output
    subjects      the pools that are compared, each behind the same four calls
    measure       what is timed, in a process of the subject's own
    worker        that process; session is its other end
    rounds        the order of it all, and what PostgreSQL says meanwhile
    environment   where the peers are installed
    result, bars  what came out, and which bars hold
    table, page   how it is shown

subjects, measure, spread and worker run in the peers' environment: they import the standard library, psycopg2 and
`backend`, nothing else.
"""
