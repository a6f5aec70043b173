"""python -m scratchser.claims, the same as python -m scratchser.paper claims."""

import sys

from scratchser.paper.claims import main

if __name__ == "__main__":
    sys.exit(main())
