"""One pool and many greenlets: `greenlets.py DSN MODE [CASE...]`.

Modes: green, psycopg2 waits cooperatively, by a callback as psycogreen has it; blocking, libpq keeps the whole
process; late, as green, and monkey patching comes after the import of the runtime. Runs the cases of that
mode, and prints as JSON what came of each. A process of its own: monkey patching must not reach pytest.
"""

import sys
from pathlib import Path

from gevent import monkey

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
if sys.argv[2] == "late":
    import backend  # noqa: F401
monkey.patch_all()

import faulthandler  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402

import gevent  # noqa: E402
import psycopg2  # noqa: E402
from gevent.socket import wait_read, wait_write  # noqa: E402
from psycopg2.extensions import POLL_OK, POLL_READ  # noqa: E402

from backend import PoolOptions, PoolTimeout, ThreadedConnectionPool, install, uninstall  # noqa: E402
from backend.dropin import ReturningPool, installed  # noqa: E402
from backend.housekeeper import housekeeper  # noqa: E402

dsn, mode, *only = sys.argv[1:]
is_green = mode != "blocking"


def wait_for_gevent(conn):
    while (state := conn.poll()) != POLL_OK:
        (wait_read if state == POLL_READ else wait_write)(conn.fileno())


def ask(conn, statement, *values):
    with conn.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def backend_of(conn):
    return ask(conn, "SELECT pg_backend_pid()")


def make(maxconn, kind=ThreadedConnectionPool, **options):
    return kind(0, maxconn, dsn, pool_options=PoolOptions(**{"timeout": 20.0, **options}))


def figures(pool):
    stats = pool.stats()
    return [stats["size"], stats["idle"], stats["used"], stats["waiting"]]


def until(condition):
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.002)


def first_come_first_served():
    """60 greenlets ask one after the other, and hold a connection across a switch."""
    pool, served, wrong, backends = make(2), [], 0, set()

    def work(number):
        nonlocal wrong
        conn = pool.getconn()
        served.append(number)
        wrong += ask(conn, "SELECT %s", f"token {number}") != f"token {number}"
        gevent.sleep(0.001)
        backends.add(backend_of(conn))
        wrong += ask(conn, "SELECT %s", number) != number
        conn.commit()
        pool.putconn(conn)

    held = [pool.getconn(), pool.getconn()]
    greenlets = []
    for number in range(60):
        greenlets.append(gevent.spawn(work, number))
        gevent.sleep(0)  # it joins the queue
    waiting = pool.stats()["waiting"]
    for conn in held:
        pool.putconn(conn)
    gevent.joinall(greenlets, raise_error=True)
    return {
        "waiting": waiting, "in_order": served == sorted(served), "wrong": wrong, "backends": len(backends),
        "opened": pool.stats()["opened"], "figures": figures(pool),
    }  # fmt: skip


def under_load_every_answer_is_right():
    pool = make(3)

    def work(number):
        wrong = 0
        for turn in range(20):
            token = number * 1000 + turn
            with pool.connection() as conn:
                wrong += ask(conn, "SELECT %s", token) != token
                gevent.sleep(0)
                wrong += ask(conn, "SELECT %s", -token) != -token
        return wrong

    greenlets = [gevent.spawn(work, number) for number in range(40)]
    gevent.joinall(greenlets, raise_error=True)
    return {
        "wrong": sum(one.value for one in greenlets), "opened": pool.stats()["opened"], "figures": figures(pool)
    }  # fmt: skip


def those_who_wait_time_out_while_others_go_on():
    pool, took, ticks = make(1), [], 0
    held = pool.getconn()

    def wait():
        start = time.monotonic()
        try:
            pool.getconn(timeout=0.2)
        except PoolTimeout:
            took.append(time.monotonic() - start)

    def tick():
        nonlocal ticks
        while True:
            ticks += 1
            gevent.sleep(0.01)

    ticker = gevent.spawn(tick)
    gevent.joinall([gevent.spawn(wait) for _ in range(5)], raise_error=True)
    ticker.kill()
    pool.putconn(held)
    conn = pool.getconn(timeout=1)
    pool.putconn(conn)
    return {
        "timed_out": len(took), "shortest": min(took), "longest": max(took), "ticked": ticks >= 5,
        "figures": figures(pool),
    }  # fmt: skip


def killed_in_mid_query():
    pool, answers = make(1), []

    def work():
        with pool.connection() as conn:
            ask(conn, "SELECT pg_sleep(20)::text")

    victim = gevent.spawn(work)
    until(lambda: pool.stats()["used"] == 1)
    gevent.sleep(0.05)
    waiter = gevent.spawn(lambda: answers.append(lease(pool)))
    until(lambda: pool.stats()["waiting"] == 1)
    start = time.monotonic()
    victim.kill()
    waiter.join(10)
    return {
        "served": len(answers), "soon": time.monotonic() - start < 6, "opened": pool.stats()["opened"],
        "closed": pool.stats()["closed"], "figures": figures(pool),
    }  # fmt: skip


def lease(pool):
    with pool.connection() as conn:
        return backend_of(conn)


def timed_out_in_mid_query():
    pool, caught = make(1), False
    try:
        with gevent.Timeout(0.1), pool.connection() as conn:
            ask(conn, "SELECT pg_sleep(20)::text")
    except gevent.Timeout:
        caught = True
    after = figures(pool)
    return {"caught": caught, "after": after, "again": lease(pool) > 0, "figures": figures(pool)}


def timed_out_between_queries():
    """The connection is in a transaction, and sound: it is rolled back and kept."""
    pool, caught = make(1), False
    with pool.connection() as conn:
        backend = backend_of(conn)
        ask(conn, "CREATE TEMP TABLE seen AS SELECT 1 AS x; SELECT 1")
    try:
        with gevent.Timeout(0.1), pool.connection() as conn:
            ask(conn, "INSERT INTO seen VALUES (2); SELECT 1")
            gevent.sleep(10)
    except gevent.Timeout:
        caught = True
    with pool.connection() as conn:
        rows, same = ask(conn, "SELECT count(*) FROM seen"), backend_of(conn) == backend
    return {"caught": caught, "rows": rows, "same": same, "figures": figures(pool)}


def killed_while_it_waits():
    pool = make(1)
    held = pool.getconn()
    waiters = [gevent.spawn(pool.getconn) for _ in range(3)]
    until(lambda: pool.stats()["waiting"] == 3)
    waiters[0].kill()
    waiters[1].kill(block=False)
    pool.putconn(held)  # handed to the second, which dies before it hears of it
    gevent.joinall(waiters, timeout=10)
    last = waiters[2].value
    served = last is held
    pool.putconn(last)
    return {"served": served, "figures": figures(pool)}


def killed_while_it_connects():
    """Each killed at another step of the connect."""
    pool, steps, die_at = make(1), 0, 0

    def count(conn):
        nonlocal steps
        steps += 1
        if steps == die_at:
            raise gevent.GreenletExit
        wait_for_gevent(conn)

    died = 0
    psycopg2.extensions.set_wait_callback(count)
    try:
        for step in (1, 2, 3):
            steps, die_at = 0, step
            one = gevent.spawn(lease, pool)
            one.join(10)
            died += isinstance(one.value, gevent.GreenletExit)
    finally:
        psycopg2.extensions.set_wait_callback(wait_for_gevent)
    after = figures(pool)
    return {"died": died, "used": after[2], "again": lease(pool) > 0, "figures": figures(pool)}


def killed_while_it_gives_back():
    """A reset takes a round trip; whoever is killed in it frees the slot."""
    pool, died = make(1, reset="reset"), 0

    def work():
        conn = pool.getconn()
        backend_of(conn)
        conn.commit()
        psycopg2.extensions.set_wait_callback(die)
        pool.putconn(conn)

    def die(conn):
        psycopg2.extensions.set_wait_callback(wait_for_gevent)
        raise gevent.GreenletExit

    for _ in range(3):
        one = gevent.spawn(work)
        one.join(10)
        died += isinstance(one.value, gevent.GreenletExit)
    return {"died": died, "again": lease(pool) > 0, "figures": figures(pool)}


def a_checkout_does_not_switch():
    """The look at the socket is the real poll(2): gevent's switches to other greenlets, and costs far more."""
    pool, ticks = make(1), 0
    pool.putconn(pool.getconn())

    def tick():
        nonlocal ticks
        while True:
            ticks += 1
            gevent.sleep(0)

    ticker = gevent.spawn(tick)
    gevent.sleep(0)
    before = ticks
    for _ in range(1000):
        pool.putconn(pool.getconn())
    switched = ticks - before
    ticker.kill()
    conn = pool.getconn()
    poller = type(conn._record.poll.__self__)
    pool.putconn(conn)
    return {"switched": switched, "is_original": poller is type(monkey.get_original("select", "poll")())}


def a_terminated_backend_is_replaced():
    pool = make(2)
    conn = pool.getconn()
    first = backend_of(conn)
    pool.putconn(conn)
    victim = psycopg2.connect(dsn)
    ask(victim, "SELECT pg_terminate_backend(%s, 5000)", first)
    victim.close()
    return {"replaced": lease(pool) != first, "figures": figures(pool)}


def a_second_close_leaves_the_next_holder_alone():
    pool = make(1, kind=ReturningPool)
    mine = pool.getconn()
    mine.close()
    seen = []

    def other():
        theirs = pool.getconn()
        seen.append(theirs is mine)
        gevent.sleep(0.05)
        seen.append(ask(theirs, "SELECT 42"))
        theirs.close()

    one = gevent.spawn(other)
    gevent.sleep(0.01)
    mine.close()
    try:
        ask(mine, "SELECT 1")
        seen.append("mine answered")
    except psycopg2.InterfaceError:
        seen.append("mine is closed")
    one.join(10)
    return {"seen": seen, "failed": str(one.exception), "figures": figures(pool)}


def the_drop_in_serves_greenlets():
    install(1, 2)
    wrong, backends = 0, set()

    def work(number):
        nonlocal wrong
        for turn in range(5):
            conn = psycopg2.connect(dsn)
            wrong += ask(conn, "SELECT %s", number * 100 + turn) != number * 100 + turn
            gevent.sleep(0)
            backends.add(backend_of(conn))
            conn.close()

    gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
    (pool,) = installed().pools.values()
    nested = pool.stats()["nested"]
    uninstall()
    return {"wrong": wrong, "backends": len(backends), "nested": nested}


def a_fork_leaves_the_parents_greenlets_behind():
    """gevent's greenlets live on in a child: the parent's housekeeper too, which must not work there."""
    pool = ThreadedConnectionPool(2, 3, dsn, pool_options=PoolOptions(timeout=5))
    until(lambda: lease(pool) and pool.stats()["idle"] == 2)
    housekeeper.watch(pool, 0.3)  # comes due after the fork
    gevent.sleep(0.05)
    mine = {record.connection().info.backend_pid for record in pool._slots.records}
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            os.dup2(said.fileno(), 2)  # where a greenlet that fails says so
            try:
                theirs = lease(pool)
                gevent.sleep(0.6)
                names = [one.name for one in threading.enumerate() if one.name == "pool-housekeeper"]
                seen = {"own": theirs not in mine, "housekeepers": len(names), "idle": pool.stats()["idle"]}
                print(json.dumps(seen), file=said, flush=True)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        said.seek(0)
        *errors, answer = said.read().splitlines()
        return {"child": json.loads(answer), "errors": errors, "same": lease(pool) in mine}


BOTH = [
    first_come_first_served, under_load_every_answer_is_right, those_who_wait_time_out_while_others_go_on,
    timed_out_between_queries, killed_while_it_waits, a_checkout_does_not_switch, a_terminated_backend_is_replaced,
    a_second_close_leaves_the_next_holder_alone, the_drop_in_serves_greenlets,
    a_fork_leaves_the_parents_greenlets_behind,
]  # fmt: skip
LATE = [first_come_first_served, a_second_close_leaves_the_next_holder_alone, the_drop_in_serves_greenlets]
GREEN = [killed_in_mid_query, timed_out_in_mid_query, killed_while_it_connects, killed_while_it_gives_back]

if is_green:
    psycopg2.extensions.set_wait_callback(wait_for_gevent)
found = {}
for case in {"green": BOTH + GREEN, "blocking": BOTH, "late": LATE}[mode]:
    if only and case.__name__ not in only:
        continue
    faulthandler.dump_traceback_later(15, exit=True)  # where gevent's own alarm cannot ring
    try:
        with gevent.Timeout(10):
            found[case.__name__] = case()
    except BaseException:
        found[case.__name__] = {"error": traceback.format_exc()}
print(json.dumps(found))
