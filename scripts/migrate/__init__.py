"""`harden migrate`: writes migrations that are safe on a live database, runs them, and takes them back."""
