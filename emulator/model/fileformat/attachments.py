"""What stands in the subnets of a file: instances, interfaces and NAT gateways, with their ids and addresses.

Subnets, instances and interfaces get their ids here, before references are resolved: two VPCs may use one name, and
each means its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from emulator.model.entities import (
    Address,
    ConnectionTracking,
    Instance,
    NatGateway,
    NetworkInterface,
    Subnet,
    Vpc,
)
from emulator.model.fileformat.fileforms import AttachmentForm, FileForm, InterfaceForm, SubnetForm, TrackingForm, VpcForm
from emulator.model.fileformat.freeaddresses import FreeAddresses
from emulator.model.fileformat.madeids import made_ids
from emulator.model.fileformat.nodes import Document, Path, Trouble
from emulator.model.names import made_id


class _Attachment(NamedTuple):
    """An interface of a file: the names of its VPC and instance and its own, its form, and where it was written."""

    vpc: str
    instance: str
    name: str
    form: AttachmentForm
    path: Path

    @property
    def id(self) -> str:
        """The id that was written; empty if none was."""
        return self.form.id if isinstance(self.form, InterfaceForm) else ""


class Attachments:
    """Everything of a file that has an address inside a VPC."""

    def __init__(self, document: Document, form: FileForm, troubles: list[Trouble]) -> None:
        self._document, self._form, self._troubles = document, form, troubles
        self._homes = {name: vpc.id or made_id(Vpc(name, ())) for name, vpc in form.vpcs.items()}
        subnets = [(vpc, name, subnet.id) for vpc, inside in form.vpcs.items() for name, subnet in inside.subnets.items()]
        instances = [(vpc, name, instance.id) for vpc, inside in form.vpcs.items() for name, instance in inside.instances.items()]
        self._subnet_ids = self._ids(subnets, lambda name: made_id(Subnet(name, "", ())))
        self._instance_ids = self._ids(instances, lambda name: made_id(Instance(name, "")))
        self._twice = {name for name, times in Counter(name for _, name, _ in instances).items() if times > 1}
        self._by_vpc: dict[str, list[_Attachment]] = {vpc: list(_attachments(vpc, inside)) for vpc, inside in form.vpcs.items()}
        everything = [one for mine in self._by_vpc.values() for one in mine]
        plain = [made_id(NetworkInterface(one.name, one.instance, "", ())) for one in everything]
        keys = made_ids(plain, [one.id for one in everything], [self._homes[one.vpc] for one in everything])
        self._spoken = {(one.vpc, f"{one.instance}:{one.name}"): key for one, key in zip(everything, keys, strict=True)}
        self._spoken_anywhere: dict[str, list[str]] = {}
        for (_, spoken), key in self._spoken.items():
            self._spoken_anywhere.setdefault(spoken, []).append(key)

    def _ids(self, written: list[tuple[str, str, str]], plain: Callable[[str], str]) -> dict[tuple[str, str], str]:
        keys = made_ids(
            [plain(name) for _, name, _ in written], [key for _, _, key in written], [self._homes[vpc] for vpc, _, _ in written]
        )
        return {(vpc, name): key for (vpc, name, _), key in zip(written, keys, strict=True)}

    def subnet_id(self, vpc: str, name: str) -> str:
        """The id of a subnet of a VPC; what is none of its names stays as it is."""
        return self._subnet_ids.get((vpc, name), name)

    def spelt(self, text: str, vpc: str = "") -> str:
        """The id of the interface that ``web-1:eth0`` or ``vpc/web-1:eth0`` means, seen from a VPC or from beside all of them.

        What means no interface, or several, stays as it is.
        """
        head, slash, rest = text.partition("/")
        if slash and (head, rest) in self._spoken:
            return self._spoken[head, rest]
        if vpc:
            return self._spoken.get((vpc, text), text)
        found = self._spoken_anywhere.get(text, ())
        return found[0] if len(found) == 1 else text

    def entities(self, vpc: str) -> Iterator[NatGateway | Instance | NetworkInterface]:
        """The NAT gateways, instances and interfaces of a VPC; those without an address get a free one."""
        form = self._form.vpcs[vpc]
        subnets = {key: subnet for name, subnet in form.subnets.items() for key in (name, self._subnet_ids[vpc, name])}
        taken = {address for one in self._by_vpc[vpc] for address in _addresses(one.form)}
        taken |= {nat.private_ip for nat in form.nat_gateways.values() if nat.private_ip is not None}
        free = FreeAddresses(taken | {pair.private_ip for nat in form.nat_gateways.values() for pair in nat.secondary_ips})
        for name, nat in form.nat_gateways.items():
            path = ("vpcs", vpc, "nat_gateways", name)
            address = nat.private_ip or self._free(free, subnets.get(nat.subnet), name, path, (4,))
            if address is not None:
                subnet = self.subnet_id(vpc, nat.subnet)
                more = tuple((pair.private_ip, pair.elastic_ip) for pair in nat.secondary_ips)
                yield NatGateway(name, subnet, address, nat.elastic_ip, nat.id, self._document.place(*path), more, nat.interface)
        for name, instance in form.instances.items():
            place = self._document.place("vpcs", vpc, "instances", name)
            listen = None if instance.listen is None else tuple(instance.listen)
            key = self._instance_ids[vpc, name]
            yield Instance(name, vpc, instance.instance_type, listen, instance.max_tracked_connections, key, place)
        for one in self._by_vpc[vpc]:
            yield self._interface(one, free, subnets.get(one.form.subnet))

    def _interface(self, one: _Attachment, free: FreeAddresses, subnet: SubnetForm | None) -> NetworkInterface:
        form, addresses = one.form, _addresses(one.form)
        if form.private_ip is None and form.private_ips is None:
            found = self._free(free, subnet, f"{one.instance}:{one.name}", one.path, (4,) if addresses else (4, 6))
            addresses = addresses if found is None else (found, *addresses)
        primary = next((address for address in addresses if address.version == 4), None)
        public = form.elastic_ip or form.public_ip
        pairs = tuple(form.elastic_ips.items())
        if public is not None and primary is not None:
            pairs = ((primary, public),)
        elif public is not None and subnet is not None:
            self._troubles.append(self._trouble(one.path, f"{public} needs a private IPv4 address to stand for; write `private_ip`"))
        # The name reads better in messages; the id is sure where a name is not.
        known = one.instance in self._twice or "/" in one.instance
        return NetworkInterface(
            one.name,
            self._instance_ids[one.vpc, one.instance] if known else one.instance,
            form.subnet,
            addresses,
            pairs,
            tuple(form.security_groups),
            form.source_dest_check,
            _tracking(form.connection_tracking),
            self._spoken[one.vpc, f"{one.instance}:{one.name}"],
            self._document.place(*one.path),
        )

    def _free(self, free: FreeAddresses, subnet: SubnetForm | None, name: str, path: Path, versions: tuple[int, ...]) -> Address | None:
        """A free address of the subnet's first block of these families; None if the subnet is unknown or has no such block."""
        blocks = () if subnet is None else (subnet.cidr_block, subnet.ipv6_cidr_block)
        block = next((block for block in blocks if block is not None and block.version in versions), None)
        if block is None:
            return None
        address = free.take(block, name)
        if address is None:
            self._troubles.append(self._trouble(path, f"no address of {block} is free; give the subnet a larger block"))
        return address

    def _trouble(self, path: Path, text: str) -> Trouble:
        return Trouble(self._document.line(*path), path, text)


def _attachments(vpc: str, form: VpcForm) -> Iterator[_Attachment]:
    for name, instance in form.instances.items():
        path: Path = ("vpcs", vpc, "instances", name)
        if instance.interfaces is None:
            yield _Attachment(vpc, name, "eth0", instance, path)
        else:
            for eth, interface in instance.interfaces.items():
                yield _Attachment(vpc, name, eth, interface, (*path, "interfaces", eth))


def _addresses(form: AttachmentForm) -> tuple[Address, ...]:
    """The addresses that were written, in their order; one that is written twice counts once."""
    first = [address for address in (form.private_ip,) if address is not None]
    ipv6 = [address for address in (form.ipv6,) if address is not None]
    return tuple(dict.fromkeys((*first, *(form.private_ips or ()), *ipv6, *form.ipv6_addresses)))


def _tracking(form: TrackingForm | None) -> ConnectionTracking:
    return ConnectionTracking() if form is None else ConnectionTracking(form.tcp_established, form.udp, form.udp_stream)
