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
# # Public or private subnet?
#
# A machine has a public address, its security group lets everybody in, the VPC has an internet gateway. **Is it on the
# internet?** What makes a subnet public is none of these three.
#
# The wrong idea that this lab removes: *a public address, or an open group, makes a subnet public.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: public-or-private
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      one:   {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
      two:   {cidr_block: 10.0.2.0/24, availability_zone: a, route_table: private}
      three: {cidr_block: 10.0.3.0/24, availability_zone: b, route_table: public}
    route_tables:
      public:  [{destination: 0.0.0.0/0, target: igw}]
      private: []
    security_groups:
      open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}
    instances:
      in-one:   {subnet: one,   private_ip: 10.0.1.10, elastic_ip: 198.51.100.11, security_groups: [open]}
      in-two:   {subnet: two,   private_ip: 10.0.2.10, elastic_ip: 198.51.100.12, security_groups: [open]}
      in-three: {subnet: three, private_ip: 10.0.3.10, security_groups: [open]}
internet:
  customer: {ip: 192.0.2.77}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# Does the customer's ping get an answer? `True` or `False`.

# %%
prediction = {"in-one": True, "in-two": True, "in-three": True}

# %% [markdown]
# ## The run

# %%
pings = {
    name: network["customer"].ping(address, 1, timeout="1s")
    for name, address in {"in-one": "198.51.100.11", "in-two": "198.51.100.12", "in-three": "10.0.3.10"}.items()
}
Lab.compare(prediction, {name: ping.reachable for name, ping in pings.items()})

# %% [markdown]
# ## Why
# `in-two` has a public address, and the ping **arrives**: its capture shows it, and the answer that goes out.

# %%
network.tcpdump("in-two")

# %% [markdown]
# The answer finds no way: the route table of its subnet knows the VPC and nothing else.

# %%
network.drops()[0]

# %% [markdown]
# `in-three` has the route and no public address. Nobody on the internet can even name it; and when it begins itself, the
# gateway has no address to put in place of its private one:

# %%
print(network["in-three"].ping("customer", 1, timeout="1s"))
network.drops()[-1].why

# %% [markdown]
# So it takes both: a **route** to the internet gateway makes the subnet public, and a **public address** makes the machine
# reachable in it. The group comes after that.

# %% [markdown]
# ## Exercise
# 1. Put `in-two` on the internet by giving its subnet the route table `public`.
# 2. Take `in-one` off the internet, without touching its security group, its address, or its route table's name: give its
#    subnet the table `private`.
# 3. Inside the VPC all three must go on reaching one another.
#
# `network.associate(subnet, route_table)` gives a subnet another table.

# %%
### BEGIN SOLUTION
network.associate("two", "public")
network.associate("one", "private")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("Public or private")
lab.allow("customer", "in-two", "ping", 2, "its route table needs 0.0.0.0/0 to the internet gateway")
lab.deny("customer", "in-one", "ping", 2, "without the route its answers find no way", because="NO_ROUTE_TO_DESTINATION")
lab.allow("in-one", "in-three", "ping")
lab.allow("in-two", "in-one", "ping")
lab.check(network).require()
