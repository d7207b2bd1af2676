"""`harden check`: everything that can be wrong before or after installing, by the real programs' own checks."""
