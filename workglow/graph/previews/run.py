"""What one task shows in a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workglow.graph.schedule import TaskRun

if TYPE_CHECKING:
    from workglow.errors import WorkglowError
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.previews.scope import PreviewScope

__all__ = ["PreviewRun", "PreviewState"]

PreviewState = Literal["previewed", "completed", "unknown", "disabled", "failed"]


class PreviewRun(TaskRun):
    """What one task shows.  `status` is "completed" when it is known what it gives, by a preview or by the run."""

    shows: PreviewState = "unknown"
    reason: str = ""
    error_raised: WorkglowError | None = None
    entering: tuple[Dataflow, ...] = ()
    leaving: frozenset[str] = frozenset()
    inner: PreviewScope | None = None
    unchanged: bool = False  # everything that enters it is what entered it in the stored run

    def become(self, shows: PreviewState, reason: str = "", outputs: dict[str, object] | None = None) -> None:
        """Show something else from now on."""
        self.shows, self.reason, self.outputs, self.error_raised, self.inactive = shows, reason, outputs, None, None
        self.status = "disabled" if shows == "disabled" else "pending" if outputs is None else "completed"

    @property
    def lack(self) -> str:
        """Why those that wait for its outputs wait."""
        return "failed." if self.shows == "failed" else "has no preview."
