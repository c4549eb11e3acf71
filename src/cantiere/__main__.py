"""``python -m cantiere``."""

import sys

from cantiere.cli import main

sys.exit(main(sys.argv[1:]))
