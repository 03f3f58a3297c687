"""``python -m marketloop.cli`` is ``marketloop``: how one process of the house starts another."""

import sys

from marketloop.cli import main

if __name__ == "__main__":
    sys.exit(main())
