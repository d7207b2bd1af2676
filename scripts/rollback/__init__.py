"""`harden rollback`: lets an earlier release serve again."""
