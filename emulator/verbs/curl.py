"""curl: GET over HTTP/1.1; exit codes and words as curl's.  TLS is not emulated: https goes as far as the connection."""

from dataclasses import dataclass, field

from emulator.errors import UsageError
from emulator.hosts.base import Send
from emulator.hosts.host import Host
from emulator.hosts.http import HttpAnswer, answer_in, request_for
from emulator.hosts.tcp_states import State
from emulator.verbs.connect import OPEN, Connect

NO_NAME, NO_CONNECTION, TIMEOUT, NO_TLS, EMPTY, RECEIVE = 6, 7, 28, 35, 52, 56
_PORTS = {"http": 80, "https": 443}


def parts_of(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of a URL; http and / where they are left out.

    Examples
    --------
    >>> parts_of("web-1"), parts_of("http://[2001:db8::1]:8080/x?y")
    (('http', 'web-1', 80, '/'), ('http', '2001:db8::1', 8080, '/x?y'))

    Raises
    ------
    UsageError : another scheme, or no URL.
    """
    from urllib.parse import urlsplit

    try:
        split = urlsplit(url if "://" in url else f"http://{url}")
        port = split.port
    except ValueError as trouble:
        raise UsageError(f"{url}: {trouble}; write http://web-1/ or web-1:8080/path") from None
    if split.scheme not in _PORTS or not split.hostname:
        raise UsageError(f"{url}: curl here knows http and https; write http://web-1/")
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return split.scheme, split.hostname, port or _PORTS[split.scheme], path


@dataclass(frozen=True)
class CurlResult:
    """What curl got.

    Attributes
    ----------
    code : curl's exit code, 0 if there was an answer
    status : of the answer, 0 if there is none
    outcome : of the connection: ``open``, ``refused``, ``timed out``, ``name not found`` …
    """

    url: str
    code: int
    outcome: str
    elapsed_ns: int
    message: str = ""
    answer: HttpAnswer | None = field(default=None, repr=False)

    @property
    def status(self) -> int:
        """The status, 200 for a page; 0 without an answer."""
        return self.answer.status if self.answer is not None else 0

    @property
    def text(self) -> str:
        """The body."""
        return self.answer.text if self.answer is not None else ""

    @property
    def ok(self) -> bool:
        """Whether a page came."""
        return self.code == 0 and 200 <= self.status < 300

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.text if self.code == 0 else f"curl: ({self.code}) {self.message}"

    __repr__ = __str__


class Curl(Connect):
    """One request."""

    def __init__(self, host: Host, url: str, *, timeout_ns: int | None = None, version: int | None = None) -> None:
        self.scheme, name, port, self.path = parts_of(url)
        super().__init__(host, name, port, timeout_ns=timeout_ns, version=version)
        self.url, self.answer, self.came = url, HttpAnswer(0, ""), b""
        self.asked = False

    def opened(self, now: int) -> list[Send]:
        """Ask, then wait for the whole answer."""
        connection = self.connection
        assert connection is not None
        if self.scheme == "https":
            connection.close()
            return self.host.tcp.flush(now) + self.end(now)
        if not self.asked:
            self.asked = True
            name = f"[{self.target}]" if ":" in self.target else self.target
            connection.write(request_for(name if self.port == 80 else f"{name}:{self.port}", self.path))
            return self.host.tcp.flush(now)
        self.came += connection.read()
        answer = answer_in(self.came)
        if answer is not None:
            self.answer = answer
            connection.close()
            return self.host.tcp.flush(now) + self.end(now)
        if connection.peer_closed:
            connection.close()
            return self.host.tcp.flush(now) + self.end(now)
        return []

    def look(self, now: int) -> list[Send]:
        """As for a connection; one that is reset after the request ends too."""
        assert self.connection is not None
        if self.asked and self.connection.state == State.CLOSED:
            return self.end(now)
        return super().look(now)

    @property
    def result(self) -> CurlResult:
        """What was got."""
        took = self.ended_ns - self.began_ns
        code, message = self._trouble(took // 1_000_000)
        return CurlResult(self.url, code, self.outcome, took, message, self.answer if code == 0 else None)

    def _trouble(self, milliseconds: int) -> tuple[int, str]:
        if self.trouble and not self.destination:
            return NO_NAME, f"Could not resolve host: {self.target}"
        if self.outcome == "timed out" and self.asked:
            return TIMEOUT, f"Operation timed out after {milliseconds} milliseconds with {len(self.came)} bytes received"
        if self.outcome == "timed out":
            return TIMEOUT, f"Failed to connect to {self.target} port {self.port} after {milliseconds} ms: Connection timed out"
        if self.outcome != OPEN:
            return NO_CONNECTION, f"Failed to connect to {self.target} port {self.port} after {milliseconds} ms: Couldn't connect to server"
        if self.scheme == "https":
            return NO_TLS, f"connected to {self.target} port {self.port}, but TLS is not emulated; ask http://"
        if self.answer.status:
            return 0, ""
        assert self.connection is not None
        if self.connection.error:
            return RECEIVE, f"Recv failure: {self.connection.error.capitalize()}"
        return EMPTY, "Empty reply from server"
