"""``python -m emulator`` and the command ``vpcemu``."""

import gc
import os
import sys


def main() -> None:
    """Run the command line; a person's mistake is one line on stderr and exit code 2."""
    # What modules make while they are loaded stays, so a short command need not look through it for garbage, which would
    # take a tenth of its time; nor need pydantic ask all that is installed for its plugins.
    gc.set_threshold(200_000, 10, 10)
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
