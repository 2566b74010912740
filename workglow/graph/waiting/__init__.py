"""Tasks that wait for a time, an event or a person."""
