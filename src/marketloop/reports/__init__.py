"""Values become self-contained HTML pages with plots."""
