"""Services as a picture has room for them.

A bare number is a tcp port: most services are, and a legend says so.
"""

from emulator.views.text import cut, width

TCP_PORT = "tcp/"


def short(service: str) -> str:
    """A service in few letters; a protocol that has no name is no port.

    Examples
    --------
    >>> [short(text) for text in ("tcp/443", "udp/53", "47", "132/36412", "all traffic", "every other protocol IPv6")]
    ['443', 'udp/53', 'ip 47', 'ip 132/36412', 'all', 'others IPv6']
    """
    if service[:1].isdigit():
        return f"ip {service}"
    for word, less in (("all traffic", "all"), ("every other protocol", "others"), (TCP_PORT, "")):
        service = service.replace(word, less)
    return service


def fitted(services: tuple[str, ...], room: float, size: float) -> str:
    """As many services as there is room for, and how many more there are.

    Examples
    --------
    >>> fitted(("tcp/22", "tcp/443", "tcp/8000-8099"), 60, 8)
    '22, 443 +1'
    """
    words = [short(service) for service in services]
    for count in range(len(words), 0, -1):
        left = len(words) - count
        text = ", ".join(words[:count]) + (f" +{left}" if left else "")
        if width(text, size) <= room:
            return text
    counted = f"{len(words)} services"
    return counted if len(words) > 1 and width(counted, size) <= room else cut(words[0] if len(words) == 1 else f"{len(words)}", room, size)
