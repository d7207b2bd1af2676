"""`harden bench pool`: the pool beside the pools it stands in for.

    command       arguments, output
    subjects      the pools, each behind the same four calls
    measure       what is timed, in a process of the subject's own
    worker        that process
    rounds        the order of it all; server is what PostgreSQL says meanwhile
    result, bars  what came out, and which bars hold
    table, page   how it is shown

subjects, measure and worker run in the peers' environment: they import the standard library, psycopg2 and
`backend`, nothing else.
"""
