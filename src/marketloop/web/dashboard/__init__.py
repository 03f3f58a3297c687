"""The dashboard: pages for people over the same state as the API; they read, and ask by writing a request."""

from marketloop.web.dashboard.mounting import Pages, build_pages

__all__ = ["Pages", "build_pages"]
