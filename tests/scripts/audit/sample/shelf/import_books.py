"""Run by hand: reads a list of books."""
import csv
import os
import sys
from pathlib import Path

import psycopg2


def main():
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    cur = conn.cursor()
    with Path(sys.argv[1]).open(newline="") as file:
        rows = list(csv.reader(file))
    for title, author_id in rows:  # fault: query-in-loop
        cur.execute("INSERT INTO books (title, author_id) VALUES (%s, %s)", (title, author_id))
    conn.commit()
    conn.close()


if __name__ == "__main__":
    main()
