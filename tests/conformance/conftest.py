"""The conformance cases share their tasks: `from fixture_tasks import Square`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
