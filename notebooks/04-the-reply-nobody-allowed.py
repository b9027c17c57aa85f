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
# # The reply nobody allowed
#
# A database may be asked on port 1433 by the application. Its group has **no outbound rule at all**. The answer goes
# out to some high port of the application. **Does it get there?**
#
# The wrong idea that this lab removes: *replies need a rule for high ports.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: replies
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    subnets:
      app-a:  {cidr_block: 10.0.1.0/24, availability_zone: a}
      data-b: {cidr_block: 10.0.9.0/24, availability_zone: b}
    security_groups:
      app: {egress: [{type: MSSQL, destination: 10.0.9.0/24}]}
      sql: {ingress: [{type: MSSQL, source: 10.0.1.0/24}], egress: []}
    instances:
      app-1: {subnet: app-a, private_ip: 10.0.1.10, security_groups: [app]}
      db:    {subnet: data-b, private_ip: 10.0.9.10, security_groups: [sql], listen: [MSSQL]}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# Write `open`, `refused` or `timed out` for each.

# %%
prediction = {"app-1 to db, tcp/1433": "timed out", "db to app-1, tcp/1433": "open"}

# %% [markdown]
# ## The run

# %%
forward = network["app-1"].connect("db", "MSSQL")
back = network["db"].connect("app-1", 1433, timeout="5s")
Lab.compare(prediction, {"app-1 to db, tcp/1433": forward.outcome, "db to app-1, tcp/1433": back.outcome})

# %% [markdown]
# ## Why
# A security group is **stateful**. The first packet of a connection needs a rule; with it the interface remembers the
# connection, and everything that belongs to it passes, both ways. This is what `db` remembers:

# %%
network.conntrack("db")

# %% [markdown]
# The answer matches no rule of `sql`, as there is none. It matches the entry. Look at the step "security groups,
# egress" of the way back:

# %%
network.explain("app-1", "db", "MSSQL").back

# %% [markdown]
# When `db` itself begins, there is no entry, and no rule either:

# %%
network.explain("db", "app-1", "tcp/1433").forward

# %% [markdown]
# Is it port 1433, then, that lets the answer out? No: it is the *connection*. A packet with the same ports and no
# connection behind it is dropped. Scapy makes one:

# %%
from scapy.layers.inet import IP, TCP

network.send(IP(src="10.0.9.10", dst="10.0.1.10") / TCP(sport=1433, dport=55555, flags="SA"))

# %% [markdown]
# ## Exercise
# The database has to fetch updates over HTTP from `app-1`. Allow that, and nothing more. You need one rule at each of the
# two interfaces: which way round?

# %%
### BEGIN SOLUTION
network.authorize("sql", "HTTP", "10.0.1.10/32", direction="egress")
network.authorize("app", "HTTP", "10.0.9.10/32")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("The reply nobody allowed")
lab.allow("db", "app-1", "HTTP", 2, "the first packet leaves db and enters app-1: an egress rule here, an ingress rule there")
lab.allow("app-1", "db", "MSSQL")
lab.only([("db", "app-1", "http"), ("app-1", "db", "mssql")], points=2, hint="replies need no rule, so high ports need none either")
lab.check(network).require()
