"""Servers that are one database together, started here and thrown away. `python -m tests.cluster` has them."""
