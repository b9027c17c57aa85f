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
# # Network ACLs: stateless, ordered, blind inside the subnet
#
# A network ACL stands at the edge of a subnet, and its table looks like a security group's. It behaves otherwise in
# three ways. **Which?**
#
# The wrong idea that this lab removes: *an ACL is a security group for a subnet.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: network-acls
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public, network_acl: edge}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    network_acls:
      edge:
        ingress:
          - {rule: 100, action: allow, type: HTTP, source: 0.0.0.0/0}
          - {rule: 110, action: deny,  type: HTTP, source: 198.18.0.0/15}
        egress:
          - {rule: 100, action: allow, type: HTTP, destination: 0.0.0.0/0}
    security_groups:
      open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [open], listen: [HTTP, SSH]}
      web-2: {subnet: public-a, private_ip: 10.0.1.11, security_groups: [open], listen: [HTTP, SSH]}
internet:
  customer: {ip: 192.0.2.77}
  attacker: {ip: 198.18.5.5}
links:
  - {between: [customer, igw], latency: 20ms}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# The security group is open, so all depends on the ACL. `open` or `timed out`?

# %%
prediction = {
    "customer to web-1, HTTP": "open",
    "attacker to web-1, HTTP: does the SYN arrive?": "no",
    "web-2 to web-1, SSH": "timed out",
}

# %% [markdown]
# ## The run

# %%
customer = network["customer"].connect("web-1", "HTTP", timeout="5s")
inside = network["web-2"].connect("web-1", "SSH", timeout="5s")
knock = network.explain("attacker", "web-1", "HTTP").forward
Lab.compare(
    prediction,
    {
        "customer to web-1, HTTP": customer.outcome,
        "attacker to web-1, HTTP: does the SYN arrive?": "yes" if knock.accepted else "no",
        "web-2 to web-1, SSH": inside.outcome,
    },
)

# %% [markdown]
# ## Why, one: stateless
# The customer's SYN arrived, and `web-1` answered. The answer goes to a high port, for which the outbound list has no
# entry. An ACL remembers nothing: a reply is a packet like any other.

# %%
network.drops()[0]

# %% [markdown]
# ## Why, two: ordered
# Entry 110 never had a chance. The list is read in rising number, and the first match decides; 100 allows HTTP from
# everybody, the attacker too.

# %%
knock

# %% [markdown]
# ## Why, three: blind inside the subnet
# `web-2` reached SSH on `web-1`, of which the ACL knows nothing. Between two interfaces of one subnet no ACL is asked:

# %%
network.explain("web-2", "web-1", "SSH").forward

# %% [markdown]
# ## Exercise
# Set the ACL right: HTTP from everybody **but** 198.18.0.0/15, with answers to high ports (32768 to 65535, as Linux and
# Windows clients use them) and nothing else in or out.
#
# `network.acl_entry("edge", number, "allow" or "deny", service, block, direction=...)` puts an entry in, in place of one of
# the same number; `network.delete_acl_entry("edge", number, direction)` takes one out.

# %%
### BEGIN SOLUTION
network.acl_entry("edge", 90, "deny", "HTTP", "198.18.0.0/15")
network.delete_acl_entry("edge", 110)
network.delete_acl_entry("edge", 100, "egress")
network.acl_entry("edge", 100, "allow", "tcp/32768-65535", "0.0.0.0/0", direction="egress")
### END SOLUTION
print(network["customer"].curl("http://web-1/", timeout="3s"))

# %% [markdown]
# ## Check

# %%
lab = Lab("Network ACLs")
lab.allow("customer", "web-1", "HTTP", 2, "the answer needs an outbound entry of its own")
lab.deny("attacker", "web-1", "HTTP", 2, "the lowest number decides", because="SUBNET_ACL_RESTRICTION")
lab.deny("web-1", "customer", "HTTP", 1, "what web-1 begins itself goes out to port 80")
lab.only([("customer", "web-1", "http"), ("internet", "web-1", "http")], sources=["customer", "internet"], points=1)
lab.check(network).require()
