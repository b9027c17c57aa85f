"""Verdicts, reasons, and the fields on which a rule can fail.

A reason's name is its code: AWS's Reachability Analyzer's where it has one (section 7 of the semantics), else
``EMU_…``.  The numbers stand in journals and never change meaning.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from emulator.wire.status import Status


class Verdict(IntEnum):
    """What became of a packet."""

    NONE = 0
    ACCEPT = 1
    DROP = 2
    UNSENT = 3
    SKIPPED = 4


class Reason(IntEnum):
    """Why a packet was not delivered."""

    NONE = 0
    ENI_SG_RULES_MISMATCH = 1
    SG_HAS_NO_RULES = 2
    SG_REFERENCES_NOT_PRESERVED = 3
    SUBNET_ACL_RESTRICTION = 4
    ENI_SOURCE_DEST_CHECK_RESTRICTION = 5
    NO_ROUTE_TO_DESTINATION = 6
    BAD_STATE_ROUTE = 7
    BAD_STATE = 8
    IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS = 9
    IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS = 10
    IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS = 11
    IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS = 12
    IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS = 13
    IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS = 14
    IGW_NAT_REFLECTION = 15
    GATEWAY_REJECTS_SPOOFED_TRAFFIC = 16
    PCX_REQUIRES_ADDRESS_IN_VPC_CIDR = 17
    NGW_REQUIRES_SOURCE_IN_VPC = 18
    PROTOCOL_RESTRICTION = 19
    NO_POSSIBLE_DESTINATION = 20
    VPC_BLOCK_PUBLIC_ACCESS_ENABLED = 21
    INGRESS_RTB_NO_PUBLIC_IP = 22
    INGRESS_RTB_TRAFFIC_REDIRECTION = 23
    VPCE_GATEWAY_PROTOCOL_RESTRICTION = 24
    TGW_ROUTE_AZ_RESTRICTION = 25
    TGW_ATTACH_VPC_AZ_RESTRICTION = 26
    TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION = 27
    TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT = 28
    TGW_RTB_BAD_STATE_ROUTE = 29
    VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS = 30
    VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS = 31
    EMU_NOT_UNICAST = 32
    EMU_CT_EXHAUSTED = 33
    EMU_TCP_MIDSTREAM = 34
    EMU_TTL_EXPIRED = 35
    EMU_LINK_LOSS = 36
    EMU_LINK_QUEUE_FULL = 37
    EMU_FRAGMENT = 38
    EMU_PORT_25_BLOCKED = 39
    EMU_NO_UNSOLICITED_INGRESS = 40
    EMU_FORWARDING_LOOP = 42
    EMU_NOT_EMULATED = 43
    EMU_NAT_FRAGMENT = 44
    EMU_NAT_NO_CONNECTION = 45
    EMU_NAT_PORT_ALLOCATION = 46
    EMU_MTU_EXCEEDED = 47
    EMU_UNSENT = 48
    EMU_LINK_DOWN = 49
    BAD_STATE_VPN = 50
    ELBV2_LISTENERS_MISMATCH = 51
    ELBV2_NO_TARGETS_IN_AZ = 52
    ELBV2_SOURCE_ADDRESS_PRESERVATION = 53
    EMU_DNS_RATE = 54
    EMU_FRAGMENT_RATE = 55
    EMU_NOT_IP = 64
    EMU_ARP = 65
    EMU_TRUNCATED = 66
    EMU_MALFORMED = 67
    EMU_LINK_TYPE = 68
    EMU_LOOPBACK = 69
    EMU_NOT_IN_TOPOLOGY = 70
    EMU_NO_SUCH_INTERFACE = 71
    EMU_FABRIC = 72


FIRST_PARSE_REASON = int(Reason.EMU_NOT_IP) - int(Status.NOT_IP)  # the reasons of frames follow one another as their statuses do

TEXT = {
    Reason.ENI_SG_RULES_MISMATCH: "no rule of its groups allows it",
    Reason.SG_HAS_NO_RULES: "its groups have no rule in this direction",
    Reason.SG_REFERENCES_NOT_PRESERVED: "a rule names the sender's group, but the packet came through a place that loses group identity",
    Reason.SUBNET_ACL_RESTRICTION: "the subnet's network ACL denies it",
    Reason.ENI_SOURCE_DEST_CHECK_RESTRICTION: "the source/destination check refuses an address that is not the interface's own",
    Reason.NO_ROUTE_TO_DESTINATION: "the subnet's route table has no route for it",
    Reason.BAD_STATE_ROUTE: "the best route is a blackhole",
    Reason.BAD_STATE: "the component on the way is not active",
    Reason.IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS: "the source has no public IPv4 address",
    Reason.IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS: "the destination is no public address of this VPC",
    Reason.IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS: "private destinations do not cross an internet gateway",
    Reason.IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS: "shared (100.64.0.0/10) destinations do not cross an internet gateway",
    Reason.IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS: "private sources do not come in through an internet gateway",
    Reason.IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS: "shared (100.64.0.0/10) sources do not come in through an internet gateway",
    Reason.IGW_NAT_REFLECTION: "the internet gateway does not turn packets back into its VPC (policy igw.hairpin)",
    Reason.GATEWAY_REJECTS_SPOOFED_TRAFFIC: "a source inside the VPC's own blocks cannot come from outside",
    Reason.PCX_REQUIRES_ADDRESS_IN_VPC_CIDR: "a peering carries only addresses of its two VPCs",
    Reason.NGW_REQUIRES_SOURCE_IN_VPC: "a NAT gateway serves only its own VPC",
    Reason.PROTOCOL_RESTRICTION: "the component does not carry this protocol",
    Reason.NO_POSSIBLE_DESTINATION: "nothing has that address",
    Reason.VPC_BLOCK_PUBLIC_ACCESS_ENABLED: "block public access is on for the subnet",
    Reason.INGRESS_RTB_NO_PUBLIC_IP: "the edge route leads to an appliance that has no public address",
    Reason.INGRESS_RTB_TRAFFIC_REDIRECTION: "what comes in to this subnet goes through an appliance, so what goes out must as well",
    Reason.VPCE_GATEWAY_PROTOCOL_RESTRICTION: "a gateway endpoint takes only tcp and icmp echo",
    Reason.TGW_ROUTE_AZ_RESTRICTION: "the VPC's attachment has no subnet in the sender's zone",
    Reason.TGW_ATTACH_VPC_AZ_RESTRICTION: "the destination's attachment has no subnet in a zone that can be used",
    Reason.TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION: "the attachment is associated with no transit gateway route table",
    Reason.TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT: "the transit gateway's route table has no route for it",
    Reason.TGW_RTB_BAD_STATE_ROUTE: "the transit gateway's best route is a blackhole",
    Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS: "its source belongs to no interface of the VPC",
    Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS: "its destination belongs to no interface of the VPC",
    Reason.EMU_NOT_UNICAST: "broadcast and multicast are not carried",
    Reason.EMU_CT_EXHAUSTED: "the instance's connection tracking table is full",
    Reason.EMU_TCP_MIDSTREAM: "not a SYN and no tracked connection (policy ct.midstream_tcp: strict)",
    Reason.EMU_TTL_EXPIRED: "its time to live ran out",
    Reason.EMU_LINK_LOSS: "lost on the link",
    Reason.EMU_LINK_QUEUE_FULL: "the link's queue was full",
    Reason.EMU_FRAGMENT: "a later fragment whose first fragment was not seen",
    Reason.EMU_PORT_25_BLOCKED: "outbound mail (tcp/25) to public addresses is blocked for the account",
    Reason.EMU_NO_UNSOLICITED_INGRESS: "the gateway lets only replies in",
    Reason.EMU_FORWARDING_LOOP: "it went round in a circle",
    Reason.EMU_NOT_EMULATED: "it reached something that is declared but not emulated",
    Reason.EMU_NAT_FRAGMENT: "a NAT gateway drops fragments of tcp and icmp",
    Reason.EMU_NAT_NO_CONNECTION: "no such connection is known here, idle ones are forgotten after 350 s",
    Reason.EMU_NAT_PORT_ALLOCATION: "the NAT gateway has no port left for this destination",
    Reason.EMU_MTU_EXCEEDED: "it is longer than the path carries and must not be cut",
    Reason.EMU_LINK_DOWN: "the link was down",
    Reason.BAD_STATE_VPN: "the connection to the customer network is down",
    Reason.ELBV2_LISTENERS_MISMATCH: "the load balancer listens on no such port",
    Reason.ELBV2_NO_TARGETS_IN_AZ: "the load balancer has no healthy target that its node may use",
    Reason.ELBV2_SOURCE_ADDRESS_PRESERVATION: "a target that calls itself through the balancer sees its own address as source",
    Reason.EMU_DNS_RATE: "its interface sent more than 1,024 packets to Amazon DNS in this second",
    Reason.EMU_FRAGMENT_RATE: "its interface sent more than 1,024 fragments in this second",
    Reason.EMU_UNSENT: "never sent here: its cause was blocked",
    Reason.EMU_NOT_IP: "neither IPv4 nor IPv6",
    Reason.EMU_ARP: "ARP is answered by the fabric and meets no filter",
    Reason.EMU_TRUNCATED: "cut before the end of its headers",
    Reason.EMU_MALFORMED: "its headers contradict themselves",
    Reason.EMU_LINK_TYPE: "its link type is not known",
    Reason.EMU_LOOPBACK: "it never leaves its host",
    Reason.EMU_NOT_IN_TOPOLOGY: "neither end is in the topology; --map ADDRESS=NAME says who is who",
    Reason.EMU_NO_SUCH_INTERFACE: "no interface has its source address; --map ADDRESS=NAME says who is who",
    Reason.EMU_FABRIC: "neighbour discovery, DHCP and link-local traffic is the fabric's and meets no filter",
}


class Stage(IntEnum):
    """Where a step was taken, in the order of the pipeline (section 0.3 of the semantics)."""

    SENT = 0
    UNICAST = 1
    EXEMPT = 2
    SOURCE_CHECK = 3
    GROUP_EGRESS = 4
    DIRECT = 5
    ACL_EGRESS = 6
    ROUTE = 7
    GATEWAY = 8
    LINK = 9
    ACL_INGRESS = 10
    GROUP_INGRESS = 11
    DESTINATION_CHECK = 12
    FORWARDED = 13
    DELIVERED = 14
    PATH_MTU = 15


STAGE_CODE = {
    Stage.SENT: "E0",
    Stage.UNICAST: "E0",
    Stage.EXEMPT: "E1",
    Stage.SOURCE_CHECK: "E2",
    Stage.GROUP_EGRESS: "E3",
    Stage.DIRECT: "E4",
    Stage.ACL_EGRESS: "E5",
    Stage.ROUTE: "E6",
    Stage.GATEWAY: "E8",
    Stage.LINK: "E8",
    Stage.ACL_INGRESS: "I1",
    Stage.GROUP_INGRESS: "I2",
    Stage.DESTINATION_CHECK: "I3",
    Stage.FORWARDED: "I4",
    Stage.DELIVERED: "I4",
    Stage.PATH_MTU: "E7",
}


class Miss(IntFlag):
    """The fields on which a rule failed; no bit set is a match."""

    FAMILY = 1
    PROTOCOL = 2
    PORT = 4
    TYPE = 8
    CODE = 16
    BLOCK = 32
    LIST = 64
    GROUP = 128
    IDENTITY = 256
    STALE = 512


class Decision(NamedTuple):
    """What a filter says: verdict, reason, id of the rule that decided (0 none), id of the tracking entry (0 none)."""

    verdict: int
    reason: int
    rule: int
    entry: int
