"""What a topology file calls the entities of a topology: names where they are sure, ids elsewhere."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.model.entities import (
    NatGateway,
    NetworkInterface,
)
from emulator.model.fileformat.madeids import made_ids
from emulator.model.groups import PrefixList, SecurityGroup, block
from emulator.model.names import LINK_ENDS, TARGETS, made_id

if TYPE_CHECKING:
    from emulator.model.topology import Entity, Topology

PEERS = (SecurityGroup, PrefixList)


class References:
    """Names and ids of one topology, as its file may write them."""

    def __init__(self, topology: "Topology") -> None:
        self._entities = topology.entities
        self._homes = {key: self._home(entity) for key, entity in self._entities.items()}
        self._named = Counter((type(entity), entity.name, self._homes[key]) for key, entity in self._entities.items())
        self._anywhere = Counter((type(entity), entity.name) for entity in self._entities.values())
        shown = {key: self.shown(entity) for key, entity in self._entities.items() if isinstance(entity, NetworkInterface)}
        self._spoken = Counter((text, self._homes[key]) for key, text in shown.items())
        self._spoken_anywhere = Counter(shown.values())
        self._written = self._ids()

    def _home(self, entity: "Entity") -> str:
        if isinstance(entity, NetworkInterface):
            entity = self._entities[entity.instance]
        if isinstance(entity, NatGateway):
            entity = self._entities[entity.subnet]
        return getattr(entity, "vpc", "")

    def _ids(self) -> set[str]:
        """Which ids must be written because another one would be made from the name."""
        keys = list(self._entities)
        plain = []
        for entity in self._entities.values():
            named = replace(entity, instance=self._entities[entity.instance].name) if isinstance(entity, NetworkInterface) else entity
            plain.append(made_id(named))
        homes = [self._homes[key] for key in keys]
        written: set[str] = set()
        while True:
            made = made_ids(plain, [key if key in written else "" for key in keys], homes)
            wrong = {key for key, found in zip(keys, made, strict=True) if key != found}
            if not wrong:
                return written
            written |= wrong

    def home(self, key: str) -> str:
        """The id of the VPC that an entity is in; empty beside the VPCs."""
        return self._homes.get(key, "")

    def own_id(self, entity: "Entity") -> str:
        """The id that the file must give an entity; empty where the same one is made from its name."""
        return entity.id if entity.id in self._written else ""

    def shown(self, eni: NetworkInterface) -> str:
        """``web-1:eth0``."""
        return f"{self._entities[eni.instance].name}:{eni.name}"

    def is_interface(self, key: str) -> bool:
        """Whether an id is that of an interface."""
        return isinstance(self._entities.get(key), NetworkInterface)

    def name(self, key: str, kinds: tuple[type, ...], home: str) -> str:
        """The name of an entity as seen from a VPC, ``vpc/name`` from another one, its id where no name is sure."""
        entity = self._entities.get(key)
        if entity is None:
            return key
        vpc, name = self._homes[key], entity.name
        if not self._sure(name) or sum(self._named[kind, name, vpc] for kind in kinds) != 1:
            return key
        if vpc == home or not vpc:
            return name
        outer = self._entities[vpc].name
        return f"{outer}/{name}" if self._sure(outer) else key

    def peer(self, key: str, home: str) -> str:
        """What a rule calls a group or a prefix list."""
        name = self.name(key, PEERS, home)
        entity = self._entities.get(name.partition("/")[0])
        return key if _is_block(name) or entity is not None else name

    def list(self, key: str, home: str) -> str:
        """What a route calls a prefix list."""
        name = self.name(key, (PrefixList,), home)
        return key if _is_block(name) else name

    def target(self, key: str, home: str) -> str:
        """What a route calls its target."""
        entity = self._entities.get(key)
        if isinstance(entity, NetworkInterface):
            text = self.shown(entity)
            return text if self._homes[key] == home and "/" not in text and self._spoken[text, home] == 1 else key
        name = self.name(key, TARGETS, home)
        return key if name == "local" or self._spoken[name, home] else name

    def end(self, key: str) -> str:
        """What a link calls one of its ends: seen from beside the VPCs, so the name must be sure among all of them."""
        entity = self._entities[key]
        if isinstance(entity, NetworkInterface):
            text = self.shown(entity)
            return text if "/" not in text and self._spoken_anywhere[text] == 1 else key
        alone = self._sure(entity.name) and sum(self._anywhere[kind, entity.name] for kind in LINK_ENDS) == 1
        return entity.name if alone and not self._spoken_anywhere[entity.name] else key

    def _sure(self, name: str) -> bool:
        """Whether a name is read as a name: it is no id, and no slash makes it look like another VPC's."""
        return "/" not in name and name not in self._entities


def _is_block(text: str) -> bool:
    try:
        block(text)
    except ValueError:
        return False
    return True
