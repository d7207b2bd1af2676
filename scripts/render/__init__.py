"""`harden render`: all files of a host from harden.toml, written into a folder to look at or to copy."""
