"""HTTP/1.1, enough for GET: a server with pages, and a client's request and answer (RFC 9110, RFC 9112).

A connection carries one request: the server says ``Connection: close`` and closes after the answer.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.hosts.services import Service

if TYPE_CHECKING:
    from emulator.hosts.tcp_connection import Connection

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large"}
MOST_HEADER = 16_384
_END = b"\r\n\r\n"


class HttpServer(Service):
    """Serves ``pages`` by path; the page of ``/`` greets in the machine's name unless another is given."""

    def __init__(self, machine: str, pages: dict[str, str] | None = None) -> None:
        self.machine = machine
        self.pages = {"/": f"Hello from {machine}\n"} | (pages or {})
        self.requests: list[str] = []

    def received(self, connection: "Connection", data: bytes) -> None:
        """Collect the request's head; answer when it is whole."""
        head, connection.scratch = connection.scratch + data, b""
        if _END not in head:
            if len(head) > MOST_HEADER:
                self._answer(connection, 431, "")
            else:
                connection.scratch = head
            return
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            self._answer(connection, 400, "")
            return
        method, target = words[0], words[1].partition("?")[0]
        self.requests.append(f"{method} {target}")
        if method not in ("GET", "HEAD"):
            self._answer(connection, 405, "")
            return
        page = self.pages.get(target)
        self._answer(connection, 200 if page is not None else 404, page if page is not None else "", body=method == "GET")

    def _answer(self, connection: "Connection", status: int, text: str, body: bool = True) -> None:
        content = (text or f"{status} {REASONS[status]}\n").encode()
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nServer: vpcemu\r\nContent-Type: text/plain; charset=utf-8\r\n"
        head += f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        connection.write(head.encode() + (content if body else b""))
        connection.close()


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered: status, its words, header fields by lower-case name, body."""

    status: int
    reason: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def request_for(host: str, path: str) -> bytes:
    """A GET request, with the fields that curl sends."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8.0 (vpcemu)\r\nAccept: */*\r\n\r\n".encode("ascii", "replace")


def answer_in(data: bytes) -> HttpAnswer | None:
    """The answer in what came, once it is whole; None before, or if it is none."""
    head, end, body = data.partition(_END)
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "")
    if length.isdigit() and len(body) < int(length):
        return None
    return HttpAnswer(int(words[1]), words[2] if len(words) > 2 else "", headers, body[: int(length)] if length.isdigit() else body)
