"""`python -m jaxcam` is the command `jaxcam`."""

import sys

from jaxcam import cli

if __name__ == "__main__":
    sys.exit(cli.main())
