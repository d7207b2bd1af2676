"""`harden install`: makes a Debian host what harden.toml says, up to the first release."""
