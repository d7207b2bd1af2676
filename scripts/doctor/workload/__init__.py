"""The statements that a database and its app run, what they look for, and what an index would save them."""
