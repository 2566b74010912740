"""The demonstration: documents are read, cut, embedded and stored; the process is killed half way; another one goes on.

`flow` is what runs, `__main__` the process that runs it and dies, `crash` the one that kills it and looks at the file.
"""

from __future__ import annotations

from workglow.demo.crash import QUERY, Crash, Found, Outcome, Proof, ask, own_documents, prove, resume, run_and_kill

__all__ = ["QUERY", "Crash", "Found", "Outcome", "Proof", "ask", "own_documents", "prove", "resume", "run_and_kill"]
