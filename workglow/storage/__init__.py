"""What a project keeps, and where: protocols that any database can implement, and their SQLite repositories."""
