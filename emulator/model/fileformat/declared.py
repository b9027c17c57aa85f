"""The forms of a file to the parts of a topology, in the order of the file, each with its place."""

from collections.abc import Iterator
from typing import Any

from emulator.model.entities import (
    Address,
    EgressOnlyInternetGateway,
    Expectation,
    ExternalHost,
    Fault,
    InternetGateway,
    Link,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.fileformat.attachments import Attachments
from emulator.model.fileformat.fileforms import FileForm, VpcForm
from emulator.model.fileformat.joineddeclared import joined_beside, joined_of_vpc
from emulator.model.fileformat.nodes import Document, Path, Trouble
from emulator.model.fileformat.policyform import settings
from emulator.model.fileformat.rulebook import Rulebook
from emulator.model.names import suggestion
from emulator.model.schedule import PlannedEdit


class Declared:
    """The parts of a topology that one file declares.

    Attributes
    ----------
    troubles : what no single form can tell: unknown names, subnets without a free address.
    parts : entities, links and expectations.
    """

    def __init__(self, document: Document, form: FileForm) -> None:
        self._document, self._form = document, form
        self.troubles: list[Trouble] = []
        self._rules = Rulebook(document, form, self.troubles)
        self._attachments = Attachments(document, form, self.troubles)
        self.parts: list[Any] = [part for name, vpc in form.vpcs.items() for part in self._vpc(name, vpc)]
        self.parts += self._beside()

    @property
    def title(self) -> str:
        """The name that the file gives the whole; may be empty."""
        return self._form.topology

    @property
    def policy(self) -> Policy:
        """The settings; what the file leaves out is as in AWS."""
        form = self._form.policy
        given = {} if form is None else {name: getattr(form, name) for name in settings().values()}
        return Policy(**{name: value for name, value in given.items() if value is not None})

    @property
    def map(self) -> tuple[tuple[Address, str], ...]:
        """Who has which address of a capture."""
        return tuple(self._form.map.items())

    def _vpc(self, name: str, form: VpcForm) -> Iterator[Any]:
        def place(*path: str) -> str:
            return self._document.place("vpcs", name, *path)

        primary = () if form.cidr_block is None else (form.cidr_block,)
        ipv6 = () if form.ipv6_cidr_block is None else (form.ipv6_cidr_block,)
        blocks = (*primary, *form.cidr_blocks, *ipv6, *form.ipv6_cidr_blocks)
        yield Vpc(name, blocks, form.id, place(), form.block_public_access, form.is_default)
        if form.internet_gateway is not None:
            edge = form.internet_gateway
            yield InternetGateway(edge.name, name, edge.id, place("internet_gateway"), edge.route_table)
        if form.egress_only_internet_gateway is not None:
            gateway = form.egress_only_internet_gateway
            yield EgressOnlyInternetGateway(gateway.name, name, gateway.id, place("egress_only_internet_gateway"))
        for key, subnet in form.subnets.items():
            own_blocks = tuple(block for block in (subnet.cidr_block, subnet.ipv6_cidr_block) if block is not None)
            yield Subnet(
                key,
                name,
                own_blocks,
                subnet.availability_zone,
                subnet.route_table,
                subnet.network_acl,
                self._attachments.subnet_id(name, key),
                place("subnets", key),
                subnet.block_public_access or "",
            )
        yield from self._tables(name, form)
        yield from self._rules.acls(name, form)
        yield from self._rules.lists(name, form)
        yield from self._rules.groups(name, form)
        yield from self._attachments.entities(name)
        yield from joined_of_vpc(self._document, self._attachments, name, form)

    def _tables(self, vpc: str, form: VpcForm) -> Iterator[RouteTable]:
        main = form.main_route_table
        if main and main not in form.route_tables:
            at: Path = ("vpcs", vpc, "main_route_table")
            hint = suggestion(main, list(form.route_tables))
            self.troubles.append(Trouble(self._document.line(*at), at, f"no route table of this VPC is called {main}{hint}"))
        for name, table in form.route_tables.items():
            path: Path = ("vpcs", vpc, "route_tables", name)
            short = isinstance(self._document.value["vpcs"][vpc]["route_tables"][name], list)
            routes = []
            for number, route in enumerate(table.routes):
                here = (*path, number) if short else (*path, "routes", number)
                destination = self._rules.destination(route.destination, vpc, here)
                target = route.target if route.blackhole else self._attachments.spelt(route.target, vpc)
                routes.append(Route(destination, target, route.propagated, route.blackhole, self._document.place(*here)))
            is_main = name == (main or "main")
            yield RouteTable(name, vpc, tuple(routes), is_main, table.id, self._document.place(*path), tuple(table.propagating))

    def _beside(self) -> Iterator[Any]:
        """What stands beside the VPCs."""
        place = self._document.place
        for name, form in self._form.vpc_peering_connections.items():
            at = place("vpc_peering_connections", name)
            yield VpcPeeringConnection(name, form.requester, form.accepter, form.status, form.id, at, form.inter_region)
        yield from joined_beside(self._document, self._attachments, self._form)
        for name, host in self._form.internet.items():
            ips = (*(() if host.ip is None else (host.ip,)), *host.ips)
            listen = None if host.listen is None else tuple(host.listen)
            yield ExternalHost(name, ips, listen, host.id, place("internet", name))
        for number, link in enumerate(self._form.links):
            one, other = (self._attachments.spelt(end) for end in link.between)
            faults = tuple(
                Fault(fault.start, fault.end, fault.down, fault.latency, fault.loss, place("links", number, "faults", index))
                for index, fault in enumerate(link.faults)
            )
            yield Link(
                (one, other), link.latency, link.rate, link.queue, link.loss, place("links", number), link.jitter, faults, link.reorder
            )
        for number, edit in enumerate(self._form.schedule):
            yield PlannedEdit(edit.at, edit.action, self._attachments.spelt(edit.on), tuple(edit.arguments), place("schedule", number))
        for number, line in enumerate(self._form.expect):
            service = line.service or line.traffic()
            yield Expectation(line.source, line.destination, service, line.reachable, line.because, place("expect", number))
