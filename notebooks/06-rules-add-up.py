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
# # Rules add up
#
# A colleague wants to keep one address out: "we allow SSH from the office network, and for the intern's machine we add a
# narrower rule, that will override it". **Does it?**
#
# The wrong idea that this lab removes: *rules have an order, and the narrower one wins.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: rules-add-up
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      admin: {ingress: [{type: SSH, source: 203.0.113.0/24}]}
      web:   {ingress: [{type: HTTP, source: 203.0.113.77/32}, {protocol: tcp, ports: 20-30, source: 203.0.113.77/32}]}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web, admin], listen: [HTTP, SSH]}
internet:
  office: {ip: 203.0.113.25}
  intern: {ip: 203.0.113.77}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# `web-1` has two groups. Write how many rules let each connection in (0 means that it does not come about).

# %%
prediction = {"office SSH": 1, "intern SSH": 1, "intern HTTP": 1, "office HTTP": 1}

# %% [markdown]
# ## The run
# To count, take away one rule after the other and see what still passes: time in the emulator can be turned back.

# %%
from emulator import SecurityGroup

facts = dict.fromkeys(prediction, 0)
groups = list(network.topology.all(SecurityGroup))
moment = network.snapshot()
for group in groups:
    for rule in group.ingress:
        for other in groups:  # this rule, and no other
            network.edit(network.topology.changed(other.id, ingress=(rule,) if other.id == group.id else ()))
        for name in facts:
            source, service = name.split()
            facts[name] += network[source].connect("web-1", service, timeout="1s").is_open
        network.rewind(moment)
Lab.compare(prediction, facts)

# %% [markdown]
# ## Why
# All rules of all groups of an interface are looked at together. Each can only **allow**; there is no deny, no order, no
# priority. One match is enough, so a narrower rule beside a wider one changes nothing: the intern gets in by either.

# %%
network.explain("intern", "web-1", "SSH").forward

# %% [markdown]
# ## Exercise
# Keep the intern (203.0.113.77) out of SSH, while everybody else in 203.0.113.0/24 is let in. As nothing can be denied,
# the block has to be cut into pieces that leave the one address out. Python's `ipaddress` does the arithmetic:
#
#     from ipaddress import ip_network
#     list(ip_network("10.0.0.0/30").address_exclude(ip_network("10.0.0.1/32")))
#
# Mind the second rule of `web`, too. HTTP for the intern stays.

# %%
### BEGIN SOLUTION
from ipaddress import ip_network

network.revoke("admin", "SSH", "203.0.113.0/24")
for piece in ip_network("203.0.113.0/24").address_exclude(ip_network("203.0.113.77/32")):
    network.authorize("admin", "SSH", str(piece))
network.revoke("web", "tcp/20-30", "203.0.113.77/32")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("Rules add up")
lab.deny("intern", "web-1", "SSH", 2, "every rule that matches lets the packet in, in whatever group it stands")
for neighbour in ("203.0.113.76", "203.0.113.78", "203.0.113.1", "203.0.113.254"):
    lab.allow(neighbour, "web-1", "SSH", 0.5, "only one address is to be left out")
lab.allow("intern", "web-1", "HTTP")
lab.only([("office", "web-1", "ssh"), ("intern", "web-1", "http")], points=1)
lab.check(network).require()
