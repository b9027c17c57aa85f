"""The few kinds of error that a person's input can cause.  The network itself never raises."""


class EmulatorError(Exception):
    """What a person wrote cannot be used; the message is one line: place, thing, trouble, way out."""


class TopologyError(EmulatorError):
    """A topology that cannot be built.

    Parameters
    ----------
    *problems : one line for each trouble found; all of a file's troubles come together.  A line break that a text from
        the file brings into a line becomes a space.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(" ".join(problem.splitlines()) for problem in problems)
        super().__init__("\n".join(self.problems))


class CaptureError(EmulatorError):
    """A capture file that cannot be read at all, or an output that cannot be written."""


class UsageError(EmulatorError):
    """A question that names something unknown, or asks for something that does not exist."""


class ApiError(EmulatorError):
    """An edit that EC2 would refuse.

    Parameters
    ----------
    code : EC2's error code, such as ``DependencyViolation`` (SG-51).
    message : what is wrong, in one line.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def printable(text: object) -> str:
    """One line that a terminal takes as text: control characters are replaced."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(text))
