"""ns-3 by its Python wheels: udp over so many point-to-point links; ``python hops_ns3.py HOPS PACKETS ROUNDS`` prints packets a second."""

import sys
import time
from typing import Any


def seconds(ns: Any, hops: int, packets: int) -> float:
    """Processor time for so many packets; all of it is spent in C++."""
    nodes = ns.NodeContainer()
    nodes.Create(hops + 1)
    ns.InternetStackHelper().Install(nodes)
    link, addresses, last = ns.PointToPointHelper(), ns.Ipv4AddressHelper(), None
    link.SetDeviceAttribute("DataRate", ns.StringValue("10Gbps"))
    link.SetChannelAttribute("Delay", ns.StringValue("1ms"))
    for hop in range(hops):
        addresses.SetBase(ns.Ipv4Address(f"10.1.{hop}.0"), ns.Ipv4Mask("255.255.255.0"))
        last = addresses.Assign(link.Install(nodes.Get(hop), nodes.Get(hop + 1)))
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    servers = ns.UdpServerHelper(9).Install(nodes.Get(hops))
    client = ns.UdpClientHelper(last.GetAddress(1).ConvertTo(), 9)
    for name, value in (("MaxPackets", packets), ("PacketSize", 100)):
        client.SetAttribute(name, ns.UintegerValue(value))
    client.SetAttribute("Interval", ns.TimeValue(ns.MicroSeconds(10)))
    client.Install(nodes.Get(0))
    begin = time.process_time()
    ns.Simulator.Run()
    took = time.process_time() - begin
    assert servers.Get(0).GetObject[ns.UdpServer]().GetReceived() == packets
    ns.Simulator.Destroy()
    return took


if __name__ == "__main__":
    number, count, rounds = map(int, sys.argv[1:])
    try:
        from ns import ns as simulator
    except ImportError:
        sys.exit("not installed (pip install ns3)")
    print(count / min(seconds(simulator, number, count) for _ in range(rounds)))
