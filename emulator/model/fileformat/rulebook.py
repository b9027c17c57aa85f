"""The rules of a file: who the other side of each is, and what a left-out direction means.

The other side of a rule is a CIDR block, a security group or a prefix list, and the text alone must say which: a name
of two kinds is a trouble, so is an unknown one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import ip_network

from emulator.model import names
from emulator.model.entities import Vpc
from emulator.model.fileformat.complaints import MOST
from emulator.model.fileformat.fileforms import FileForm, VpcForm
from emulator.model.fileformat.nodes import Document, Path, Trouble
from emulator.model.fileformat.ruleforms import AclEgressRuleForm, AclIngressRuleForm, EgressRuleForm, IngressRuleForm
from emulator.model.groups import (
    OPEN_ACL,
    AclRule,
    Block,
    GroupPeer,
    ListPeer,
    NetworkAcl,
    Peer,
    PrefixList,
    Rule,
    SecurityGroup,
    block,
)

_ACCOUNT = re.compile(r"[0-9]{12}/(sg-.+)")  # another account's group (SG-30)


@cache
def default_group() -> SecurityGroup:
    """The group `default` as AWS makes it (SG-13)."""
    made, _, _ = names.resolve([Vpc("vpc", (ip_network("10.0.0.0/16"),))], [])
    return next(entity for entity in made.values() if isinstance(entity, SecurityGroup))


class Rulebook:
    """Groups, prefix lists and network ACLs of a file, and what their names mean."""

    def __init__(self, document: Document, form: FileForm, troubles: list[Trouble]) -> None:
        self._document, self._form, self._troubles = document, form, troubles
        self._ids = {group.id for vpc in form.vpcs.values() for group in vpc.security_groups.values() if group.id}
        self._list_ids = {entries.id for vpc in form.vpcs.values() for entries in vpc.prefix_lists.values() if entries.id}

    def peer(self, text: str, vpc: str, path: Path) -> Peer:
        """The other side that a text means, seen from a VPC; a trouble is noted if it means none or more than one."""
        if text in self._ids:
            return GroupPeer(text)
        home, name = self._scope(text, vpc)
        meant: dict[str, Peer] = {}
        if name == "default" or name in self._form.vpcs[home].security_groups:
            meant["a security group"] = GroupPeer(text)
        if name in self._form.vpcs[home].prefix_lists:
            meant["a prefix list"] = ListPeer(text)
        cidr = _block(text)
        if cidr is not None:
            meant["a CIDR block"] = cidr
        if len(meant) == 1:
            return next(iter(meant.values()))
        if meant:
            self._trouble(path, f"{text} is {' and '.join(meant)}; give one of them another name, or write an id")
            return GroupPeer(text)
        return self._by_id(text) or self._unknown(text, home, path)

    def _scope(self, text: str, vpc: str) -> tuple[str, str]:
        """The VPC that a name is looked up in, and the name: ``shop/web`` is ``web`` of the VPC ``shop``."""
        head, slash, rest = text.partition("/")
        return (head, rest) if slash and head in self._form.vpcs else (vpc, text)

    def _by_id(self, text: str) -> Peer | None:
        account = _ACCOUNT.fullmatch(text)
        if account is not None:
            return GroupPeer(account.group(1))
        # A group that is gone leaves a stale rule behind (SG-32), so an id may lead nowhere.
        if text.startswith("sg-"):
            return GroupPeer(text)
        return ListPeer(text) if text in self._list_ids or text.startswith("pl-") else None

    def _unknown(self, text: str, home: str, path: Path) -> Peer:
        form = self._form.vpcs[home]
        known = [*form.security_groups, *form.prefix_lists] if len(self._troubles) < MOST else []
        if re.fullmatch(r"[0-9.]+(/[0-9]*)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]*)?", text):
            self._trouble(path, f"{text} is not a CIDR block; write one such as 10.0.0.0/16")
        else:
            elsewhere = [
                name for name, vpc in self._form.vpcs.items() if name != home and text in (*vpc.security_groups, *vpc.prefix_lists)
            ]
            hint = f"; did you mean {elsewhere[0]}/{text}?" if elsewhere else self._hint(text, known)
            self._trouble(path, f"{text} is no CIDR block, security group or prefix list{hint}")
        return GroupPeer(text)

    def _hint(self, text: str, known: list[str]) -> str:
        """The way out of an unknown name; a file with more troubles than are shown gets no more comparing."""
        return names.suggestion(text, known) if len(self._troubles) < MOST else "; write one of those"

    def destination(self, text: str, vpc: str, path: Path) -> Block | ListPeer:
        """What a route's destination means: a CIDR block or a prefix list."""
        home, name = self._scope(text, vpc)
        cidr = _block(text)
        known = list(self._form.vpcs[home].prefix_lists)
        if cidr is not None:
            if name in known:
                self._trouble(path, f"{text} is a CIDR block and a prefix list; give the list another name, or write its id")
            return cidr
        if name not in known and text not in self._list_ids and not text.startswith("pl-"):
            self._trouble(path, f"{text} is no CIDR block and no prefix list{self._hint(text, known)}")
        return ListPeer(text)

    def lists(self, vpc: str, form: VpcForm) -> Iterator[PrefixList]:
        """The prefix lists of a VPC."""
        for name, entries in form.prefix_lists.items():
            place = self._document.place("vpcs", vpc, "prefix_lists", name)
            yield PrefixList(name, vpc, tuple(entries.entries), entries.max_entries, entries.id, place)

    def groups(self, vpc: str, form: VpcForm) -> Iterator[SecurityGroup]:
        """The security groups of a VPC; what `default` leaves out is as AWS makes it."""
        for name, group in form.security_groups.items():
            path: Path = ("vpcs", vpc, "security_groups", name)
            ingress = self._rules(group.ingress or (), vpc, (*path, "ingress"))
            egress = None if group.egress is None else self._rules(group.egress, vpc, (*path, "egress"))
            description = group.description or ""
            if name == "default":
                made = default_group()
                ingress = (
                    ingress if group.ingress is not None else (Rule(made.ingress[0].protocol, made.ingress[0].ports, GroupPeer(name)),)
                )
                description = made.description if group.description is None else description
            others, over = tuple(group.associated_vpcs), tuple(group.disassociated_vpcs)
            yield SecurityGroup(name, vpc, ingress, egress, description, group.id, self._document.place(*path), others, over)

    def _rules(self, forms: Sequence[IngressRuleForm | EgressRuleForm], vpc: str, path: Path) -> tuple[Rule, ...]:
        done = []
        for number, form in enumerate(forms):
            here = (*path, number)
            peer = self.peer(form.source if isinstance(form, IngressRuleForm) else form.destination, vpc, here)
            service = form.traffic()
            done.append(Rule(service.protocol, service.ports, peer, form.description, form.id, self._document.place(*here)))
        return tuple(done)

    def acls(self, vpc: str, form: VpcForm) -> Iterator[NetworkAcl]:
        """The network ACLs of a VPC; what `default` leaves out is open (NA-9), what another leaves out is closed."""
        for name, acl in form.network_acls.items():
            path: Path = ("vpcs", vpc, "network_acls", name)
            left_out = OPEN_ACL if name == "default" else ()
            ingress = left_out if acl.ingress is None else self._entries(acl.ingress, (*path, "ingress"))
            egress = left_out if acl.egress is None else self._entries(acl.egress, (*path, "egress"))
            yield NetworkAcl(name, vpc, ingress, egress, acl.id, self._document.place(*path))

    def _entries(self, forms: Sequence[AclIngressRuleForm | AclEgressRuleForm], path: Path) -> tuple[AclRule, ...]:
        done = []
        for number, form in enumerate(forms):
            remote = form.source if isinstance(form, AclIngressRuleForm) else form.destination
            service, place = form.traffic(), self._document.place(*path, number)
            done.append(AclRule(form.rule, form.action == "allow", service.protocol, service.ports, remote, place))
        return tuple(done)

    def _trouble(self, path: Path, text: str) -> None:
        self._troubles.append(Trouble(self._document.line(*path), path, text))


def _block(text: str) -> Block | None:
    try:
        return block(text) if "%" not in text else None
    except ValueError:
        return None
