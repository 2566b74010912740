"""`python -m workglow`."""

from __future__ import annotations

from workglow.cli import main

if __name__ == "__main__":
    main()
