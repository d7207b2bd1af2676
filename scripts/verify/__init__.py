"""`harden verify`: two versions of an app asked the same, over equal databases, and their answers compared."""
