"""What is known of a connection: who may use it, for how long it was out, and whether it is still there."""

from __future__ import annotations

import os
import threading
import weakref

from backend.record import NEVER, Record
from tests.support.threads import Running


def made() -> Record:
    return Record(None, 10.0, 20.0)


def test_a_new_record_belongs_to_nobody_and_has_to_be_asked() -> None:
    record = made()
    assert (record.pid, record.born, record.returned, record.since, record.expires) == (
        os.getpid(), 10.0, 10.0, 10.0, 20.0,
    )  # fmt: skip
    assert record.fit_until == NEVER < 0.0
    assert not record.is_held()
    assert record.connection() is None
    assert (record.users, record.site, record.number) == (None, (), 0)


def test_its_end_adds_up_the_time_and_clears_what_was_the_leases() -> None:
    record = made()
    for since, now in ((10.0, 12.5), (20.0, 21.0)):
        record.since, record.leased, record.users = since, True, {1, 2}
        record.leak_reported = record.stall_reported = True
        record.end(now)
        assert (record.leased, record.leak_reported, record.stall_reported) == (False, False, False)
        assert (record.users, record.returned) == (None, now)
    assert record.use_time == 3.5


def test_a_thread_that_gave_it_back_holds_it_no_more_until_it_takes_it_again() -> None:
    record = made()
    me = threading.get_ident()
    record.leased, record.thread = True, -1
    assert record.is_held()  # leases travel between threads
    record.givers.add(me)
    assert not record.is_held()
    assert Running(record.is_held).result()
    record.thread = me
    assert record.is_held()
    record.leased = False
    assert not record.is_held()


def test_it_keeps_no_connection_alive() -> None:
    class Conn:
        pass

    record, conn = made(), Conn()
    record.ref = weakref.ref(conn)
    assert record.connection() is conn
    del conn
    assert record.connection() is None


def test_it_has_no_room_for_anything_else() -> None:
    assert not hasattr(made(), "__dict__")
    assert len({made(), made()}) == 2  # by identity: it is the key of dictionaries
