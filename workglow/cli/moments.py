"""Times and durations as people read them."""

from __future__ import annotations

from datetime import datetime

__all__ = ["moment", "took"]


def moment(milliseconds: int | None) -> str:
    """Write a time of the file in the local zone: '2026-03-01 09:30:05'."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S")


def took(seconds: float | None) -> str:
    """Write a duration: '12 ms', '3.4 s', '2:05', '1:02:05'."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
