"""`harden logs`: what the app and what it stands on have said."""
