"""`harden top`: a running service, live in a terminal."""
