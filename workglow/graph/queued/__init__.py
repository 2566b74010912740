"""Tasks that workers of queues do, and runs that workers drive."""
