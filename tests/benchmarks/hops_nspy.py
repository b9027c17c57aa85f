"""ns.py: packets through so many ports and wires; ``python hops_nspy.py HOPS PACKETS ROUNDS`` prints packets a second."""

import sys
import time


def seconds(hops: int, packets: int) -> float:
    """Processor time for so many packets."""
    import simpy
    from ns.packet.dist_generator import DistPacketGenerator
    from ns.packet.sink import PacketSink
    from ns.port.port import Port
    from ns.port.wire import Wire

    env = simpy.Environment()
    sender = DistPacketGenerator(env, "sender", lambda: 10e-6, lambda: 128.0, finish=packets * 10e-6)
    before, sink = sender, PacketSink(env, rec_arrivals=False, rec_waits=False)
    for hop in range(hops):
        port, wire = Port(env, 10e9, element_id=hop), Wire(env, lambda: 1e-3, wire_id=hop)
        before.out, port.out = port, wire
        before = wire
    before.out = sink
    begin = time.process_time()
    env.run()
    took = time.process_time() - begin
    assert abs(sum(sink.packets_received.values()) - packets) < 10
    return took


if __name__ == "__main__":
    number, count, rounds = map(int, sys.argv[1:])
    try:
        print(count / min(seconds(number, count) for _ in range(rounds)))
    except ImportError:
        sys.exit("not installed (pip install ns.py==0.4.3)")
