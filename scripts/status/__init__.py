"""`harden status`: what serves on this host, and how it is."""
