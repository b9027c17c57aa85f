"""Ids made from names, as `names.resolve` makes them, and told apart where two VPCs use one name.

The loader gives subnets, instances and interfaces their ids beforehand, so that what refers to them means the one of
its own VPC; the saver leaves out every id that would be made again.
"""

from collections import Counter
from collections.abc import Sequence


def made_ids(plain: Sequence[str], given: Sequence[str], homes: Sequence[str]) -> list[str]:
    """The id of each entity: the given one, else the plain one, with its VPC's where several have the same.

    Parameters
    ----------
    plain : ids made from names alone.
    given : ids that were written; empty where none was.
    homes : the id of the VPC that each is in; empty beside the VPCs.
    """
    wanted = [own or made for own, made in zip(given, plain, strict=True)]
    taken = Counter(wanted)
    made: list[str] = []
    seen: set[str] = set()
    for key, own, home in zip(wanted, given, homes, strict=True):
        if not own and home and taken[key] > 1:
            key = f"{key}-{home.removeprefix('vpc-')}"
        while not own and key in seen and key.startswith("eni-"):
            key = f"{key}-2"  # as `names` does: a's eth1, and the eth0 of one that is called a-eth1
        seen.add(key)
        made.append(key)
    return made
