"""`harden bench rows`: the recipes of docs/row-patterns.md, before and after, side by side."""
