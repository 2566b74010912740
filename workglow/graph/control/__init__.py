"""Tasks that hold or steer other tasks: groups, loops, conditions, alternatives."""
