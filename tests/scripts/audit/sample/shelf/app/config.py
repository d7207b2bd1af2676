import os

SECRET_KEY = "q8Wn2vXr5tYb7uKm"  # fault: hardcoded-credentials
DATABASE_URL = os.environ.get("DATABASE_URL", "dbname=shelf")
PAGE_SIZE = 20
