from psycopg2 import sql

from app.db import get_db

TABLE = "books"


def all_books():
    cur = get_db().cursor()
    cur.execute(f"SELECT id, title, author_id FROM {TABLE} ORDER BY title")  # fault: unbounded-select
    return cur.fetchall()


def author_of(author_id):
    cur = get_db().cursor()
    cur.execute("SELECT id, name FROM authors WHERE id = %s", (author_id,))
    return cur.fetchone()


def find_books(words, order):
    cur = get_db().cursor()
    cur.execute(f"SELECT id, title FROM books WHERE title ILIKE '%{words}%' LIMIT 20")  # fault: sql-injection
    by_words = cur.fetchall()
    cur.execute(
        sql.SQL("SELECT id, title FROM books ORDER BY {} LIMIT 20").format(sql.Identifier(order))
    )
    return by_words + cur.fetchall()


def books_of(ids):
    cur = get_db().cursor()
    places = ", ".join(["%s"] * len(ids))
    cur.execute(f"SELECT id, title FROM books WHERE id IN ({places}) LIMIT 100", tuple(ids))
    return cur.fetchall()


def copies_of(book_id):
    cur = get_db().cursor()
    cur.execute("SELECT id, shelf FROM copies WHERE book_id = %s", (book_id,))
    return cur.fetchall()
