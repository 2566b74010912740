"""The command line: `workglow COMMAND`.

Exit codes: 0 done; 1 the work failed, or a file is not well; 2 the command was not understood; 3 the run waits for a
person, an event or a time; 130 interrupted, and the run can be resumed.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command that the program was called with."""
    import sys

    from workglow.cli.commands import app

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore  # a file's name may be no text at all
    app()
