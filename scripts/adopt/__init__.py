"""`harden adopt`: audit, vendor, fix and verify in one run, on a branch of its own."""
