"""By hand: ``python tests/benchmarks/reach.py [INSTANCES]``: import a made-up account and work out its full reach table.

An account of so many instances in subnets of 200, each in one of 100 groups of 60 rules (a third in a common group as
well): blocks and other groups, on ports of all sizes.  CPU time and memory are of this process, on one core.
"""

import json
import random
import resource
import sys
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from emulator.importers.network import load_network
from emulator.reach.table import reach

GROUPS, RULES = 100, 60


def account(instances: int) -> dict[str, Any]:
    """The answers of the describe calls."""
    dice = random.Random(instances)
    tags = [{"Key": "Team", "Value": "x"}]
    subnets = [
        {"SubnetId": f"subnet-{n}", "VpcId": "vpc-1", "CidrBlock": f"10.0.{n}.0/24", "AvailabilityZone": f"eu-west-1{'abc'[n % 3]}"}
        for n in range(-(-instances // 200))
    ]
    peers: list[dict[str, Any]] = []
    groups = []
    for number in range(GROUPS):
        permissions = []
        for _ in range(RULES):
            port = dice.choice([22, 80, 443, 3306, 5432, 8080, 9092, dice.randrange(1024, 60000)])
            peer = dice.choice(
                [
                    {"UserIdGroupPairs": [{"GroupId": f"sg-{dice.randrange(GROUPS)}"}]},
                    {"IpRanges": [{"CidrIp": f"10.0.{dice.randrange(len(subnets))}.0/24"}]},
                    {"IpRanges": [{"CidrIp": f"203.0.{dice.randrange(114)}.0/24"}]},
                    {"IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
                ]
            )
            permissions.append({"IpProtocol": "tcp", "FromPort": port, "ToPort": port + dice.choice([0, 0, 0, 10]), **peer})
        out = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        groups.append(
            {
                "GroupId": f"sg-{number}",
                "GroupName": f"g{number}",
                "VpcId": "vpc-1",
                "IpPermissions": permissions,
                "IpPermissionsEgress": out,
            }
        )
    for number in range(instances):
        ip = str(ip_address("10.0.0.0") + number // 200 * 256 + 10 + number % 200)
        public = {"Association": {"PublicIp": str(ip_address("54.0.0.0") + number)}} if number % 10 == 0 else {}
        eni = {
            "NetworkInterfaceId": f"eni-{number}",
            "SubnetId": f"subnet-{number // 200}",
            "PrivateIpAddresses": [{"PrivateIpAddress": ip, "Primary": True, **public}],
            "Groups": [{"GroupId": f"sg-{group}"} for group in {dice.randrange(1, GROUPS), 0} - ({0} if dice.random() < 0.7 else set())],
            "Attachment": {"DeviceIndex": 0},
        }
        peers.append({"InstanceId": f"i-{number}", "State": {"Name": "running"}, "NetworkInterfaces": [eni], "Tags": tags})
    routes = [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]
    return {
        "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
        "Subnets": subnets,
        "SecurityGroups": groups,
        "Reservations": [{"Instances": peers}],
        "InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"VpcId": "vpc-1", "State": "available"}]}],
        "RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": True}], "Routes": routes}],
        "NetworkAcls": [],
    }


def main() -> None:
    """Make, import, reach; say what each cost."""
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "account.json"
        path.write_text(json.dumps(account(instances)))
        print(f"{instances:,} instances, {GROUPS} groups of {RULES} rules, {path.stat().st_size / 1e6:.1f} MB of JSON")
        start = time.process_time()
        topology = load_network(path)
        loaded = time.process_time()
        rows = reach(topology).rows
        done = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"import {loaded - start:.1f} s, reach {done - loaded:.1f} s, {len(rows):,} rows, {memory:.2f} GB")


if __name__ == "__main__":
    main()
