"""Graphs: their structure, their forms, and running them."""
