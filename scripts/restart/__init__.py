"""`harden restart`: a server of the app anew, without a lost request."""
