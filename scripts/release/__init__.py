"""`harden release`: makes a release of the app and lets it serve."""
