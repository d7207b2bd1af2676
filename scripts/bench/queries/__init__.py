"""`harden bench queries`: the ways to ask beside each other, and how far from the limit one query is.

    command              arguments, output
    plan                 how much is measured
    shop                 the rows; methods, statements, stitching, orm: the ways to a customer's profile
    profiles             part one: are they equal, what do they ask, how long do they take
    worker, delay        the process in which they are measured, and a network that is further away
    requests, pgbench    part two: whole requests under Gunicorn, against the ideal; served is what they ask
    listing, lists       part three: a page deep in a list, all of a list as CSV; lists is the process for it
    result, bars         what came out, and which bars hold
    table, plots, page   how it is shown

The worker, methods, statements, stitching, orm and compare run in the peers' environment: they import the standard
library, psycopg2, flask and `backend`, and what a method names as its packages.
"""
