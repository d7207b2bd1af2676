"""`harden vendor`: the runtime as part of somebody's repository, and its upgrades."""
