"""The ``underpaint`` command. It is for those who build; where only what readers need is installed, it says so."""

from __future__ import annotations

import sys


def main() -> None:
    """Exit codes: 0 done, 1 something failed or does not check, 2 bad input; messages without a traceback."""
    try:
        if sys.version_info < (3, 11):
            raise ModuleNotFoundError(f"this is Python {sys.version_info[0]}.{sys.version_info[1]}")
        from underpaint.pipeline.cli.main import main as run

        run()
    except ModuleNotFoundError as e:
        if (e.name or "").startswith("underpaint"):
            raise
        how = "pip install 'underpaint[build]' on Python 3.11 or later"
        print(f"error: only what reads shards is installed ({e}); for the underpaint command: {how}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
