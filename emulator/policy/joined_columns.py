"""Columns of the tables of what is joined to VPCs, and of links' faults; see `tables`."""

from enum import IntEnum


class AddressPair(IntEnum):
    """Columns of ``addresses``: low halves of a NAT gateway's private addresses and of their public ones, 0 for none."""

    PRIVATE_LO = 0
    PUBLIC_LO = 1


class AttachmentColumn(IntEnum):
    """Columns of ``attachments``; exactly one of VPC, NETWORK and PEER is not 0; NODES are its rows of ``nodes``."""

    ID = 0
    GATEWAY = 1
    VPC = 2
    NETWORK = 3
    PEER = 4
    ROUTES = 5
    ROUTES_END = 6
    NODES = 7
    NODES_END = 8
    APPLIANCE = 9
    KEEPS_GROUPS = 10


class NodeColumn(IntEnum):
    """Columns of ``nodes``: the interfaces of attachments, by zone."""

    ID = 0
    SUBNET = 1
    ZONE = 2


class ListenerColumn(IntEnum):
    """Columns of ``listeners``: ports of endpoints and balancers; TARGETS are rows of ``targets``."""

    PROTOCOL = 0
    PORT = 1
    TARGETS = 2
    TARGETS_END = 3
    KEEPS_CLIENT = 4


class TargetColumn(IntEnum):
    """Columns of ``targets``: a balancer's healthy targets; ENI 0 if no interface has the address."""

    LO = 0
    PORT = 1
    ZONE = 2
    ENI = 3


class NetworkColumn(IntEnum):
    """Columns of ``networks``: customer networks; BLOCKS are rows of ``blocks``."""

    ID = 0
    GATEWAY = 1
    UP = 2
    BLOCKS = 3
    BLOCKS_END = 4


class FaultColumn(IntEnum):
    """Columns of ``faults``: stretches of time in which a link is down, slower or lossier."""

    START_NS = 0
    END_NS = 1
    DOWN = 2
    LATENCY_NS = 3
    LOSS_PPB = 4
