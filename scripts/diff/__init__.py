"""`harden diff`: what harden.toml stands for, beside what lies on a host or in a rendered folder."""
