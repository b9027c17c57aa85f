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
# # Groups as sources
#
# A rule may name a security group in place of a block of addresses. **What does it mean then: the rules of that group,
# or its members? And does it follow a member's public address?**
#
# The wrong idea that this lab removes: *a reference copies the other group's rules, or follows public addresses.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: app-and-sql-server
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      app-a:  {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
      data-b: {cidr_block: 10.0.9.0/24, availability_zone: b, route_table: public}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      app: {ingress: [{type: HTTP, source: 0.0.0.0/0}]}
      sql: {ingress: [{type: MSSQL, source: app}], egress: []}
    instances:
      app-1: {subnet: app-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [app], listen: [HTTP]}
      batch: {subnet: app-a, private_ip: 10.0.1.50}
      db: {subnet: data-b, private_ip: 10.0.9.10, elastic_ip: 198.51.100.20, security_groups: [sql], listen: [MSSQL]}
internet:
  customer: {ip: 192.0.2.77}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# `sql` lets in MSSQL "from `app`". Group `app` in turn lets HTTP in from everybody. `True` or `False`: does it connect?

# %%
prediction = {
    "app-1 to db": True,
    "batch to db": True,
    "customer to db, as everybody may reach app": True,
    "app-1 to the public address of db": True,
}

# %% [markdown]
# ## The run

# %%
attempts = {
    "app-1 to db": network["app-1"].connect("db", "MSSQL", timeout="3s"),
    "batch to db": network["batch"].connect("db", "MSSQL", timeout="3s"),
    "customer to db, as everybody may reach app": network["customer"].connect("db", "MSSQL", timeout="3s"),
    "app-1 to the public address of db": network["app-1"].connect("198.51.100.20", "MSSQL", timeout="3s"),
}
Lab.compare(prediction, {name: attempt.is_open for name, attempt in attempts.items()})

# %% [markdown]
# ## Why
# A reference means: *the private addresses of the interfaces that have that group*. Nothing else of the group counts, its
# rules least of all. `batch` sits in the same subnet as `app-1`, and is no member:

# %%
print(network.explain("batch", "db", "MSSQL").why)

# %% [markdown]
# And through the public address? The packet goes out by the internet gateway, which puts the **public** source in place
# of the private one, and comes back in. At `db` it is a stranger from 198.51.100.10:

# %%
lost = next(trace for trace in network.drops() if str(trace.sent.five_tuple.destination) == "198.51.100.20")
lost

# %% [markdown]
# Membership is looked at for each packet. Give `batch` the group and it is in, without any change of a rule:

# %%
before = network.snapshot()
network.set_groups("batch", "default", "app")
print(network["batch"].connect("db", "MSSQL", timeout="3s"))
network.rewind(before)

# %% [markdown]
# ## Exercise
# A new group of machines, `report`, must read the database, now and when more of them come. `batch` is the first. You
# may **not** give `batch` the group `app` (it is no web server), and no addresses may be written down. First add the group
# to the topology, then the rule, then make `batch` a member.

# %%
from emulator import SecurityGroup

vpc = network.topology.find("db").vpc
### BEGIN SOLUTION
network.edit(network.topology.replace(SecurityGroup("report", vpc)))
network.authorize("sql", "MSSQL", "report")
network.set_groups("batch", "report")
### END SOLUTION

# %% [markdown]
# ## Check
# One of the probes puts a second machine into `report`, as next year's administrator will.


# %%
def next_year(student):
    later = Network(student.topology)
    later.set_groups("app-1", "report")
    return later.explain("app-1", "db", "MSSQL").reachable, "app-1 joined report and still has no way in: the rule names addresses"


lab = Lab("Groups as sources")
lab.allow("batch", "db", "MSSQL", 2, "sql needs a rule whose source is the group report")
lab.deny("customer", "batch", "HTTP", 1, "batch must not have the group app")
lab.probe("a new member needs no new rule", next_year, 2)
lab.only([("batch", "db", "mssql"), ("app-1", "db", "mssql")], destinations=["db"], points=1)
lab.check(network).require()
