"""What a graph would give, said at once while someone edits it."""
