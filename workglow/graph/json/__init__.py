"""A graph as JSON, and back from JSON that anybody may have written."""
