"""Features and labels side by side, point in time, in the same code for training and for inference."""

from __future__ import annotations

from marketloop.dataset.assemble import LabelSpec, assemble, feature_names_kept, newest_rows
from marketloop.dataset.past import with_past
from marketloop.dataset.ranks import session_ranks, with_ranks

__all__ = ["LabelSpec", "assemble", "feature_names_kept", "newest_rows", "session_ranks", "with_past", "with_ranks"]
