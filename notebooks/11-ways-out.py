# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ways out: NAT, and why it is a one-way street
#
# Machines in a private subnet fetch their updates from the internet, and nobody on the internet can begin a conversation
# with them. **How can that be, if packets go both ways?**
#
# The wrong idea that this lab removes: *behind NAT means closed by a firewall, or: a NAT gateway makes one reachable.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: ways-out
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a:  {cidr_block: 10.0.0.0/24, availability_zone: a, route_table: public}
      private-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: private}
      private-b: {cidr_block: 10.0.2.0/24, availability_zone: b, route_table: closed}
    nat_gateways:
      nat: {subnet: public-a, private_ip: 10.0.0.220, elastic_ip: 198.51.100.20}
    route_tables:
      public:  [{destination: 0.0.0.0/0, target: igw}]
      private: [{destination: 0.0.0.0/0, target: nat}]
      closed:  []
    security_groups: {open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}}
    instances:
      web:   {subnet: public-a, private_ip: 10.0.0.10, elastic_ip: 198.51.100.10, security_groups: [open]}
      app-1: {subnet: private-a, private_ip: 10.0.1.11, security_groups: [open]}
      app-2: {subnet: private-a, private_ip: 10.0.1.12, security_groups: [open]}
      app-3: {subnet: private-b, private_ip: 10.0.2.13, security_groups: [open]}
internet:
  server: {ip: 203.0.113.12, listen: [HTTP, tcp/8080]}
links:
  - {between: [server, igw], latency: 15ms}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# All security groups are open. `True` or `False`; and whom does the server see?

# %%
prediction = {
    "app-1 fetches a page": True,
    "the server pings app-1's way out, 198.51.100.20": True,
    "app-3 fetches a page": True,
    "app-1 is seen as": "10.0.1.11",
    "web is seen as": "10.0.0.10",
}

# %% [markdown]
# ## The run

# %%
pages = {name: network[name].curl("http://server/", timeout="5s") for name in ("app-1", "app-2", "web", "app-3")}
knock = network["server"].ping("198.51.100.20", 1, timeout="2s")
callers = [
    str(packet.five_tuple.source) for packet in network.tcpdump("server", "tcp and port 80").packets if packet.scapy["TCP"].flags == "S"
]
Lab.compare(
    prediction,
    {
        "app-1 fetches a page": pages["app-1"].ok,
        "the server pings app-1's way out, 198.51.100.20": knock.reachable,
        "app-3 fetches a page": pages["app-3"].ok,
        "app-1 is seen as": callers[0],
        "web is seen as": callers[2],
    },
)

# %% [markdown]
# ## Why
# Follow a SYN of `app-1`, hop by hop. Its route table sends it to the NAT gateway in the public subnet; there it gets the
# gateway's address **and a port of the gateway**; the internet gateway then puts the public address in place of that.

# %%
network.explain("app-1", "server", "HTTP").forward

# %% [markdown]
# Both machines share one address, and the ports tell them apart. That table of ports is the one-way street: an entry is
# made by the first packet **from inside**. A packet from outside finds an entry or nothing; there is nobody it could be
# meant for.

# %%
[row for row in network.tcpdump("server", "tcp and port 80").rows if "Flags [S]" in row]

# %%
next(trace for trace in network.drops() if str(trace.sent.five_tuple.destination) == "198.51.100.20").why

# %% [markdown]
# The gateway is also the only hop on this way that a traceroute shows, as it alone lowers the time to live:

# %%
network["app-1"].traceroute("server")

# %% [markdown]
# And it forgets. After 350 idle seconds the entry is gone, and the next packet from inside is answered by a **reset**, while
# a security group would only have kept silent:

# %%
session = network["app-1"].connect("server", 8080)
network.run("6min")
print(session.send("still there?"), session.error)

# %% [markdown]
# ## Exercise
# `app-3`, in zone b, is to fetch pages, too, and must stay unreachable from the internet. `web` must keep its own address.
# Change one route table: `network.route(table, destination, target)`.

# %%
### BEGIN SOLUTION
network.route("closed", "0.0.0.0/0", "nat")
### END SOLUTION

# %% [markdown]
# ## Check


# %%
def is_seen_as(student):
    later = Network(student.topology)
    later["app-3"].curl("http://server/", timeout="5s")
    later["web"].curl("http://server/", timeout="5s")
    seen = [
        str(packet.five_tuple.source) for packet in later.tcpdump("server", "tcp and port 80").packets if packet.scapy["TCP"].flags == "S"
    ]
    return seen[:1] == ["198.51.100.20"] and "198.51.100.10" in seen, f"the server saw {', '.join(dict.fromkeys(seen)) or 'nobody'}"


lab = Lab("Ways out")
lab.allow("app-3", "server", "HTTP", 2, "a default route whose target is the NAT gateway")
lab.probe("by the NAT gateway, and web by its own address", is_seen_as, 2)
lab.only(
    [("internet", "web", one) for one in ("ssh", "http", "https", "mssql", "mysql/aurora", "tcp/8080", "udp/53", "ping")],
    sources=["internet"],
)
lab.check(network).require()
