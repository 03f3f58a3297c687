"""How much memory this process has used at most."""

from __future__ import annotations

import sys

__all__ = ["peak_rss_mb"]

if sys.platform == "win32":

    def peak_rss_mb() -> float:
        """Return not-a-number: Windows tells it only through a library that the house does without."""
        return float("nan")

else:
    import resource

    def peak_rss_mb() -> float:
        """Return the largest resident set of this process since its start, in MB (10^6 bytes)."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6  # macOS counts bytes, Linux KiB
