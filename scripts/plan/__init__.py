"""`harden plan`: the whole budget of connections in one table, and whether a live server has it."""
