"""The fixers, one file per rule that is mended."""
