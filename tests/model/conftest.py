"""The models share their graphs: `from random_graphs import random_graph`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
