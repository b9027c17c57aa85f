"""What an address means to the fabric: unicast or not, private or not, one of the exempt services or not."""

from emulator.kernels import kernel
from emulator.policy.tables import Eni, SubnetColumn, Tables, VpcColumn, row_of
from emulator.wire.addresses import halves
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP

_MAPPED = 0xFFFF << 32
_DNS_V4, _TIME_V4, _METADATA_V4, _ECS_V4 = (halves(f"169.254.{tail}").lo for tail in ("169.253", "169.123", "169.254", "170.2"))
_KMS_V4 = halves("169.254.169.250").lo
_AWS_V6_HI = halves("fd00:ec2::").hi
_DNS_V6, _TIME_V6, _METADATA_V6, _KMS_V6 = (halves(f"fd00:ec2::{tail}").lo for tail in ("253", "123", "254", "240"))
_LINK_LOCAL_V6 = 0x3FA  # the first ten bits of fe80::/10


@kernel
def is_unicast(family: int, hi: int, lo: int) -> bool:
    """Neither multicast nor the limited broadcast address nor the unspecified one (RFC 5771, RFC 4291)."""
    if family == 4:
        address = lo & 0xFFFFFFFF
        return address >> 28 != 14 and address != 0xFFFFFFFF and address != 0
    return (hi >> 56) & 0xFF != 0xFF and (hi != 0 or lo != 0)


@kernel
def is_loopback(family: int, hi: int, lo: int) -> bool:
    """127.0.0.0/8 or ::1."""
    if family == 4:
        return (lo >> 24) & 0xFF == 127
    return hi == 0 and lo == 1


@kernel
def is_link_local(family: int, hi: int, lo: int) -> bool:
    """169.254.0.0/16 or fe80::/10."""
    if family == 4:
        return (lo >> 16) & 0xFFFF == 0xA9FE
    return (hi >> 54) & 0x3FF == _LINK_LOCAL_V6


@kernel
def is_rfc1918(lo: int) -> bool:
    """10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."""
    address = lo & 0xFFFFFFFF
    return address >> 24 == 10 or address >> 20 == 0xAC1 or address >> 16 == 0xC0A8


@kernel
def is_rfc6598(lo: int) -> bool:
    """100.64.0.0/10."""
    return (lo & 0xFFFFFFFF) >> 22 == 0x191


@kernel
def is_neighbour_discovery(protocol: int, icmp_type: int) -> bool:
    """Router and neighbour solicitations, advertisements and redirects (RFC 4861)."""
    return protocol == ICMPV6 and 133 <= icmp_type <= 137


@kernel
def is_dhcp(protocol: int, source_port: int, destination_port: int) -> bool:
    """Between a DHCP or DHCPv6 client and its server, either way (FB-2)."""
    if protocol != UDP:
        return False
    v4 = (source_port == 68 and destination_port == 67) or (source_port == 67 and destination_port == 68)
    return v4 or (source_port == 546 and destination_port == 547) or (source_port == 547 and destination_port == 546)


@kernel
def is_exempt_service(tables: Tables, eni: int, family: int, hi: int, lo: int, protocol: int, port: int) -> bool:
    """Whether an address and port are one of the fabric's own services, which no filter touches (FB-1 to FB-7).

    ``eni`` is the row of the interface that talks to it.  The router answers ping in the sender's own subnet, unless
    ``fabric.router_ping`` is ``none`` (FB-16).
    """
    dns = port == 53 and (protocol in (UDP, TCP))
    web, time = protocol == TCP and port == 80, protocol == UDP and port == 123
    licence = protocol == TCP and port == 1688
    if family == 6:
        if hi != _AWS_V6_HI:
            return False
        return (lo == _DNS_V6 and dns) or (lo == _TIME_V6 and time) or (lo == _METADATA_V6 and web) or (lo == _KMS_V6 and licence)
    vpc = row_of(tables, tables.enis[eni, Eni.VPC])
    if lo == tables.vpcs[vpc, VpcColumn.RESOLVER_LO]:
        return dns
    subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
    if lo == tables.subnets[subnet, SubnetColumn.ROUTER_LO]:
        return protocol != ICMP or tables.settings.router_ping != 0
    if not is_link_local(family, hi, lo):
        return False
    if lo == _DNS_V4:
        return dns
    if lo in (_METADATA_V4, _ECS_V4):
        return web
    if lo == _TIME_V4:
        return time
    return (lo == _KMS_V4 or lo == _KMS_V4 + 1) and licence
