"""Fixtures for the shipped tasks."""

from library_fixtures import folder, javascript, run

__all__ = ["folder", "javascript", "run"]
