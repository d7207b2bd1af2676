"""What SQL statements say: PostgreSQL's own parser behind a few small types.

Knows the texts that the code makes, with their holes; knows no schema. The parser is loaded on first use.
"""
