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
# # The default security group: is one subnet enough?
#
# Three machines stand in one subnet, with nothing between them. Two of them have the VPC's default security group, the
# third has another one. **Who reaches whom?**
#
# The wrong idea that this lab removes: *what is in one subnet can talk.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: default-security-group
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets:
      private-a: {cidr_block: 10.0.1.0/24, availability_zone: a}
    security_groups:
      outsider: {description: Not a member of default}
    instances:
      alice:   {subnet: private-a, private_ip: 10.0.1.10}
      bob:     {subnet: private-a, private_ip: 10.0.1.11, listen: [SSH]}
      mallory: {subnet: private-a, private_ip: 10.0.1.66, security_groups: [outsider]}
""")
)

# %% [markdown]
# ## The drawing
# Whoever names no security group gets `default`. Nobody wrote its rules: they are AWS's. In: everything **from members
# of the same group**. Out: everything.

# %%
network.topology

# %% [markdown]
# ## Your prediction
# Write `True` or `False` for each ping before you run the next cell.

# %%
prediction = {
    ("alice", "bob"): True,
    ("alice", "mallory"): True,
    ("mallory", "alice"): True,
}

# %% [markdown]
# ## The run

# %%
everybody = network.pingall()
everybody

# %%
Lab.compare(prediction, {pair: everybody[pair] for pair in prediction})

# %% [markdown]
# ## Why
# The subnet has no say in it: a security group stands at each **interface**, also between neighbours. Follow Mallory's
# ping step by step; it leaves her interface, goes straight to Alice's, and ends there.

# %%
network.explain("mallory", "alice", "ping")

# %% [markdown]
# Mallory's own group has no rule for what comes in, so Alice does not reach her either. What `default` allows is not
# "the subnet" but "members of `default`":

# %%
print(network.explain("alice", "mallory", "ping").why)

# %% [markdown]
# ## Exercise
# Mallory is hired. Let her **ping** Alice and Bob, but let nobody else in and do not make her a member of `default`.
#
# `network.authorize(group, service, peer)` adds a rule; the peer may be a block or the name of a group, the service a word
# of the console (`SSH`, `HTTPS`), `icmp`, `tcp/8080` … or `ping`, which is an echo request.

# %%
### BEGIN SOLUTION
network.authorize("default", "ping", "outsider")
### END SOLUTION

# %% [markdown]
# ## Check
# The check sends packets; it does not read what you typed.

# %%
lab = Lab("The default security group")
lab.allow("mallory", "alice", "ping", 2, "the rule belongs where the packet comes in: into default")
lab.allow("mallory", "bob", "ping", 1)
lab.only(
    [("mallory", "alice", "ping"), ("mallory", "bob", "ping"), ("mallory", "mallory", "ping")],
    sources=["mallory", "internet"],
    points=2,
    hint="ping is one type of ICMP; a rule for all traffic lets SSH in, too",
)
lab.deny("alice", "mallory", "ping", 1)
lab.check(network).require()
