"""`python -m geochg_cli`, the same as `geochg`."""

from .main import main

main()
