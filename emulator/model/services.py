"""The console's words for protocols and ports: HTTPS, MSSQL, All traffic, ``tcp/8000-8099``, ``icmp/3/4``.

Source: the "Type" column of the EC2 console's rule editor; protocol names as in SG-16.
"""

import difflib
import re
from typing import NamedTuple

ALL = -1
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PROTOCOL_NUMBERS = {"all": ALL, "icmp": ICMP, "tcp": TCP, "udp": UDP, "icmpv6": ICMPV6}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}
ANY_PORTS = (ALL, ALL)


class Service(NamedTuple):
    """A protocol number (-1 all) and its first and last port, or ICMP type and code (-1 all)."""

    protocol: int
    ports: tuple[int, int] = ANY_PORTS

    def __str__(self) -> str:
        name = protocol_name(self.protocol)
        first, last = self.ports
        if self.protocol == ALL:
            return "all traffic"
        if first == ALL:
            return name
        if self.protocol in (ICMP, ICMPV6):
            return f"{name}/{first}" if last == ALL else f"{name}/{first}/{last}"
        return f"{name}/{first}" if first == last else f"{name}/{first}-{last}"


CONSOLE_TYPES = {
    "All traffic": Service(ALL),
    "All TCP": Service(TCP, (0, 65535)),
    "All UDP": Service(UDP, (0, 65535)),
    "All ICMP - IPv4": Service(ICMP),
    "All ICMP - IPv6": Service(ICMPV6),
    "SSH": Service(TCP, (22, 22)),
    "SMTP": Service(TCP, (25, 25)),
    "DNS (UDP)": Service(UDP, (53, 53)),
    "DNS (TCP)": Service(TCP, (53, 53)),
    "HTTP": Service(TCP, (80, 80)),
    "POP3": Service(TCP, (110, 110)),
    "IMAP": Service(TCP, (143, 143)),
    "LDAP": Service(TCP, (389, 389)),
    "HTTPS": Service(TCP, (443, 443)),
    "SMB": Service(TCP, (445, 445)),
    "SMTPS": Service(TCP, (465, 465)),
    "IMAPS": Service(TCP, (993, 993)),
    "POP3S": Service(TCP, (995, 995)),
    "MSSQL": Service(TCP, (1433, 1433)),
    "NFS": Service(TCP, (2049, 2049)),
    "MYSQL/Aurora": Service(TCP, (3306, 3306)),
    "RDP": Service(TCP, (3389, 3389)),
    "Redshift": Service(TCP, (5439, 5439)),
    "PostgreSQL": Service(TCP, (5432, 5432)),
    "Oracle-RDS": Service(TCP, (1521, 1521)),
    "WinRM-HTTP": Service(TCP, (5985, 5985)),
    "WinRM-HTTPS": Service(TCP, (5986, 5986)),
    "Elastic Graphics": Service(TCP, (2007, 2007)),
    "CQLSH / CASSANDRA": Service(TCP, (9042, 9042)),
}
_FOLDED = {name.casefold(): service for name, service in CONSOLE_TYPES.items()}
_FOLDED |= {
    "all icmp": Service(ICMP),
    "all icmpv6": Service(ICMPV6),
    "dns": Service(UDP, (53, 53)),
    "mysql": Service(TCP, (3306, 3306)),
    "ping": Service(ICMP, (8, ALL)),
    "postgres": Service(TCP, (5432, 5432)),
}


def protocol_name(protocol: int) -> str:
    """``tcp`` for 6, ``47`` for 47: the names that EC2 gives back (SG-16)."""
    return PROTOCOL_NAMES.get(protocol, str(protocol))


def parse_protocol(text: str) -> int:
    """The protocol number of a name or number; ``all`` and ``-1`` are every protocol.

    Raises
    ------
    ValueError : neither a known name nor a number from -1 to 255.
    """
    folded = str(text).strip().casefold()
    if folded in PROTOCOL_NUMBERS:
        return PROTOCOL_NUMBERS[folded]
    if re.fullmatch(r"-1|[0-9]{1,3}", folded) and int(folded) <= 255:
        return int(folded)
    raise ValueError(f'protocol "{text}" is not known; write tcp, udp, icmp, icmpv6, all or a number from 0 to 255')


def parse_ports(text: str) -> tuple[int, int]:
    """First and last port of ``443`` or ``8000-8099``.

    Raises
    ------
    ValueError : not a port, above 65535, or first above last.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", str(text))
    if match is None:
        raise ValueError(f'ports "{text}" are neither a port (443) nor a range (8000-8099)')
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if first > last or last > 65535:
        raise ValueError(f'ports "{text}" must rise and lie between 0 and 65535')
    return first, last


def parse_type(text: str) -> Service:
    """The service behind one of the console's words, whatever its capitals.

    Raises
    ------
    ValueError : not one of the console's words; the nearest one is named.
    """
    service = _FOLDED.get(str(text).strip().casefold())
    if service is None:
        near = difflib.get_close_matches(str(text).casefold(), list(_FOLDED), n=1)
        known = next((name for name in CONSOLE_TYPES if near and name.casefold() == near[0]), near[0] if near else "")
        hint = f"did you mean {known}?" if known else "write `protocol` and `ports` instead"
        raise ValueError(f'type "{text}" is not one of the console\'s words; {hint}')
    return service


def parse_service(text: str) -> Service:
    """The service that a person names in a question.

    Examples
    --------
    >>> parse_service("tcp/443")
    Service(protocol=6, ports=(443, 443))
    >>> parse_service("HTTPS") == parse_service("tcp/443")
    True
    >>> parse_service("icmp/3/4")
    Service(protocol=1, ports=(3, 4))
    >>> parse_service("47")
    Service(protocol=47, ports=(-1, -1))

    Raises
    ------
    ValueError : not understood; the message says what can be written.
    """
    head, *rest = [part.strip() for part in str(text).split("/")]
    if str(text).strip().casefold() in _FOLDED:
        return parse_type(text)
    try:
        protocol = parse_protocol(head)
    except ValueError:
        raise ValueError(
            f'service "{text}" is not known; write tcp/443, udp/53, icmp, icmp/3/4, icmpv6, a protocol number or a word such as HTTPS'
        ) from None
    if protocol in (ICMP, ICMPV6):
        if len(rest) > 2 or not all(re.fullmatch(r"-1|[0-9]{1,3}", part) and int(part) <= 255 for part in rest):
            raise ValueError(f'service "{text}": ICMP takes a type and a code from 0 to 255, such as icmp/3/4')
        numbers = [int(part) for part in rest] + [ALL, ALL]
        return Service(protocol, (numbers[0], numbers[1]))
    if not rest:
        return Service(protocol)
    if protocol not in (TCP, UDP) or len(rest) > 1:
        raise ValueError(f'service "{text}": ports need protocol tcp or udp')
    return Service(protocol, parse_ports(rest[0]))
