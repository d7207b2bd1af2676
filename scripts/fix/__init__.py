"""`harden fix`: rewrites what the audit finds, where the same answers can be shown to come out."""
