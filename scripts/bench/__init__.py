"""Measurements of the runtime beside what it replaces: same machine, same server, same minute.

    command            the verb
    audit, doctor, monitor, pool, queries   a benchmark each
    session            the other end of a process that measures
    environment        where the peers are installed
    spread, noise      medians with their range, and how quiet it was
    output, frame      what the reports share

spread and the benchmarks' workers run in the peers' environment: they import the standard library, psycopg2,
flask and `backend`, nothing else.
"""
