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
# # Peering is not transitive
#
# Three VPCs in a row: A is peered with B, B with C. All security groups are open, all routes are written. **Does a machine
# in A reach one in C?**
#
# The wrong idea that this lab removes: *what B reaches, A reaches through B.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: peering
vpcs:
  a:
    cidr_block: 10.1.0.0/16
    subnets: {sub-a: {cidr_block: 10.1.1.0/24, availability_zone: a, route_table: from-a}}
    route_tables: {from-a: [{destination: 10.2.0.0/16, target: a-b}, {destination: 10.3.0.0/16, target: a-b}]}
    security_groups: {open-a: {ingress: [{type: All traffic, source: 10.0.0.0/8}]}}
    instances: {alice: {subnet: sub-a, private_ip: 10.1.1.10, security_groups: [open-a]}}
  b:
    cidr_block: 10.2.0.0/16
    subnets: {sub-b: {cidr_block: 10.2.1.0/24, availability_zone: a, route_table: from-b}}
    route_tables: {from-b: [{destination: 10.1.0.0/16, target: a-b}, {destination: 10.3.0.0/16, target: b-c}]}
    security_groups: {open-b: {ingress: [{type: All traffic, source: 10.0.0.0/8}]}}
    instances: {bob: {subnet: sub-b, private_ip: 10.2.1.10, security_groups: [open-b]}}
  c:
    cidr_block: 10.3.0.0/16
    subnets: {sub-c: {cidr_block: 10.3.1.0/24, availability_zone: a, route_table: from-c}}
    route_tables: {from-c: [{destination: 10.2.0.0/16, target: b-c}, {destination: 10.1.0.0/16, target: b-c}]}
    security_groups: {open-c: {ingress: [{type: All traffic, source: 10.0.0.0/8}]}}
    instances: {carol: {subnet: sub-c, private_ip: 10.3.1.10, security_groups: [open-c], listen: [SSH]}}
vpc_peering_connections:
  a-b: {requester: a, accepter: b}
  b-c: {requester: b, accepter: c}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# `True` or `False`: does a ping get through? And can Alice go round by way of Bob, logging in to him first?

# %%
prediction = {("alice", "bob"): True, ("bob", "carol"): True, ("alice", "carol"): True}

# %% [markdown]
# ## The run

# %%
everybody = network.pingall()
everybody

# %%
Lab.compare(prediction, {pair: everybody[pair] for pair in prediction})

# %% [markdown]
# ## Why
# Alice's route table sends the packet into the peering A–B. There it ends: a peering carries only packets whose source
# **and** destination lie in its two VPCs. 10.3.1.10 is not of B.

# %%
network.explain("alice", "carol", "ping").forward

# %% [markdown]
# Bob reaches Carol, and Alice reaches Bob. A person who is logged in to Bob may go on to Carol; that is a new connection,
# with Bob's address. Routing does not do that by itself.

# %%
print(network["alice"].connect("bob", 22), network["bob"].connect("carol", 22), sep="\n")

# %% [markdown]
# ## Exercise
# Let Alice reach Carol, and Carol Alice: a peering of their own, `a-c`, and routes that use it. B's ways stay as they are.
# Routes are changed by `network.route(table, destination, target)`; the peering comes first.

# %%
from emulator import VpcPeeringConnection

### BEGIN SOLUTION
a, c = (vpc.id for vpc in network.topology.entities.values() if vpc.id.startswith("vpc-") and vpc.name in ("a", "c"))
network.edit(network.topology.replace(VpcPeeringConnection("a-c", a, c)))
network.route("from-a", "10.3.0.0/16", "a-c")
network.route("from-c", "10.1.0.0/16", "a-c")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("Peering is not transitive")
lab.allow("alice", "carol", "ping", 2, "a route into the new peering on Alice's side, and one for the answer on Carol's")
lab.allow("carol", "alice", "ping", 2)
lab.allow("alice", "bob", "ping")
lab.allow("bob", "carol", "SSH")
lab.check(network).require()
