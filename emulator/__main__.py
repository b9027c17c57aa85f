"""``python -m emulator`` and the command ``vpcemu``."""

import atexit
import gc
import os
import sys


def main() -> None:
    """Run the command line; a person's mistake is one line on stderr and exit code 2."""
    # Most of what a short command makes stays until it ends: to look through it for garbage, now and then and once more
    # at the end, would take a quarter of its time.  Nor need pydantic ask all that is installed for its plugins.
    gc.set_threshold(200_000, 10, 10)
    atexit.register(gc.freeze)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
    from emulator.cli import app
    from emulator.errors import EmulatorError, TopologyError, printable

    try:
        app()
    except EmulatorError as trouble:
        for line in trouble.problems if isinstance(trouble, TopologyError) else [str(trouble)]:
            print(printable(line), file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # Whoever read our output has gone; let the interpreter's last flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
