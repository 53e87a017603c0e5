"""``python -m gobelieve.cli`` is ``gobelieve``."""

import sys

from gobelieve.cli.main import main

sys.exit(main())
