"""The demo: the shop before and after, its data, and what boots and measures them."""
