"""The reference shop: the same answers as before, and the right ones."""
