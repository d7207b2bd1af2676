"""`harden init`: a description for a repository that has none, after looking at it."""
