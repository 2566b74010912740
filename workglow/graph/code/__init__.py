"""A graph as the Python program that builds it."""
