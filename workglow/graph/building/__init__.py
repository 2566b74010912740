"""Building a graph step by step: a workflow's methods, its undo, and how tasks are connected by themselves."""
