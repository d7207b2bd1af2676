"""`harden audit`: reads Flask + psycopg2 code, and says with line numbers what will break in production."""
