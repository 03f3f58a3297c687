"""``python -m marketloop`` is ``marketloop``."""

import sys

from marketloop.cli import main

if __name__ == "__main__":
    sys.exit(main())
