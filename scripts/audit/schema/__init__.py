"""The tables and indexes that a project's own files say there are. No database is asked."""
