"""`harden bench cache`: how fast a hit is, and whether the cache keeps its word under races, restarts and load."""
