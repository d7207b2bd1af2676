"""Move a SQLite database to PostgreSQL: translate, copy, verify, roll back."""
