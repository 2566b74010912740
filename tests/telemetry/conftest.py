"""What the tests of tracing share: `from span_recorder import Recorder`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
