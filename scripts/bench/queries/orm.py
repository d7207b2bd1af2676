"""The profile by SQLAlchemy's two ways of eager loading. Imported where SQLAlchemy is installed, nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKey, Numeric, Text, create_engine, select
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload

Base: Any = declarative_base()


class Customer(Base):
    __tablename__ = "customers"
    id = Column(BigInteger, primary_key=True)
    name, email, phone = Column(Text), Column(Text), Column(Text)
    created_at = Column(DateTime(timezone=True))
    appointments = relationship("Appointment", order_by="[Appointment.starts_at.desc(), Appointment.id.desc()]")


class Appointment(Base):
    __tablename__ = "appointments"
    id = Column(BigInteger, primary_key=True)
    customer_id = Column(BigInteger, ForeignKey("customers.id"))
    vehicle_id = Column(BigInteger)
    starts_at = Column(DateTime(timezone=True))
    status, notes = Column(Text), Column(Text)
    lines = relationship("Line", order_by="Line.service_id")
    payments = relationship("Payment", order_by="Payment.id")
    messages = relationship("Message", order_by="Message.id")


class Service(Base):
    __tablename__ = "services"
    id = Column(BigInteger, primary_key=True)
    name = Column(Text)


class Line(Base):
    __tablename__ = "appointment_services"
    appointment_id = Column(BigInteger, ForeignKey("appointments.id"), primary_key=True)
    service_id = Column(BigInteger, ForeignKey("services.id"), primary_key=True)
    price = Column(Numeric(10, 2))
    service = relationship("Service")


class Payment(Base):
    __tablename__ = "payments"
    id = Column(BigInteger, primary_key=True)
    appointment_id = Column(BigInteger, ForeignKey("appointments.id"))
    amount = Column(Numeric(10, 2))
    method = Column(Text)
    paid_on = Column(Date)


class Message(Base):
    __tablename__ = "messages"
    id = Column(BigInteger, primary_key=True)
    appointment_id = Column(BigInteger, ForeignKey("appointments.id"))
    sender, body = Column(Text), Column(Text)
    sent_at = Column(DateTime(timezone=True))


def profile(dsn: str, way: str) -> tuple[Callable[[int], dict[str, Any]], Callable[[], None]]:
    """Return a function that gives one customer's profile, and one that closes its engine.

    Args:
        dsn: as libpq spells it.
        way: "selectin", a statement per table; or "joined", one statement of flat rows.
    """
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), pool_size=1, max_overflow=0,
        isolation_level="AUTOCOMMIT",
    )  # fmt: skip
    load = {"selectin": selectinload, "joined": joinedload}[way]
    each = load(Customer.appointments)
    eager = each.options(
        load(Appointment.lines).joinedload(Line.service), load(Appointment.payments), load(Appointment.messages)
    )
    statement = select(Customer).options(eager)

    def ask(customer_id: int) -> dict[str, Any]:
        with Session(engine) as session:
            return _customer(session.scalars(statement.where(Customer.id == customer_id)).unique().one())

    return ask, engine.dispose


def _customer(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "email": row.email, "phone": row.phone,
        "created_at": row.created_at.isoformat(),
        "appointments": [_appointment(appointment) for appointment in row.appointments],
    }  # fmt: skip


def _appointment(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "vehicle_id": row.vehicle_id, "starts_at": row.starts_at.isoformat(), "status": row.status,
        "notes": row.notes,
        "services": [
            {"service_id": line.service_id, "name": line.service.name, "price": line.price} for line in row.lines
        ],
        "payments": [
            {"id": found.id, "amount": found.amount, "method": found.method, "paid_on": found.paid_on.isoformat()}
            for found in row.payments
        ],
        "messages": [
            {"id": found.id, "sender": found.sender, "body": found.body, "sent_at": found.sent_at.isoformat()}
            for found in row.messages
        ],
    }  # fmt: skip
