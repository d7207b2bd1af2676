"""Faults while people pay: what is lost, late or wrong, and whether the books are right at the end."""
