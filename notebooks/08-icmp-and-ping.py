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
# # ICMP: types, codes, and ping
#
# "Ping does not work, so the server is down." ICMP has no ports; a rule for it names a **type** and a **code**, and the
# form where one writes them still says "from port" and "to port". **What does `3` to `4` mean?**
#
# The wrong ideas that this lab removes: *3–4 is a range of types*, and *no ping, no server.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: icmp
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      web:
        ingress:
          - {type: HTTP, source: 0.0.0.0/0}
          - {protocol: icmp, icmp_type: 3, icmp_code: 4, source: 0.0.0.0/0}
        egress: []
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP]}
internet:
  customer: {ip: 192.0.2.77}
links:
  - {between: [customer, igw], latency: 25ms}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# Which of these messages does the group let in? `in` or `dropped`.

# %%
prediction = {
    "echo request (type 8, code 0)": "in",
    "fragmentation needed (type 3, code 4)": "in",
    "host unreachable (type 3, code 1)": "in",
    "source quench (type 4, code 0)": "in",
}

# %% [markdown]
# ## The run
# A message of each kind, sent by hand:

# %%
messages = {
    "echo request (type 8, code 0)": "icmp/8/0",
    "fragmentation needed (type 3, code 4)": "icmp/3/4",
    "host unreachable (type 3, code 1)": "icmp/3/1",
    "source quench (type 4, code 0)": "icmp/4/0",
}
found = {name: network.explain("customer", "web-1", message).forward for name, message in messages.items()}
Lab.compare(prediction, {name: "in" if trace.accepted else "dropped" for name, trace in found.items()})

# %% [markdown]
# ## Why
# The first number is the type, the second the code: one kind of message, not a range.

# %%
print(found["host unreachable (type 3, code 1)"].why)

# %% [markdown]
# And is the server down? Ask it for a page:

# %%
print(network["customer"].ping("web-1", 2))
print()
print(network["customer"].curl("http://web-1/"))

# %% [markdown]
# ## Ping is a question and an answer
# One rule is enough for both directions, as ICMP is always tracked. `web` has no outbound rule at all; with an inbound one
# for echo requests the answer passes all the same. The entry is known by the identifier, and lives for seconds:

# %%
moment = network.snapshot()
network.authorize("web", "ping", "0.0.0.0/0")
print(network["customer"].ping("web-1", 2))
print(network.conntrack("web-1"))
network.rewind(moment)

# %% [markdown]
# ## Exercise
# Let customers ping `web-1`, and let `web-1` ping the internet. Timestamp requests (type 13), which tell a stranger the
# machine's clock, must not get in, and nothing but echo requests may go out.

# %%
### BEGIN SOLUTION
network.authorize("web", "icmp/8", "0.0.0.0/0")
network.authorize("web", "icmp/8", "0.0.0.0/0", direction="egress")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("ICMP and ping")
lab.allow("customer", "web-1", "ping", 1, "an inbound rule for type 8")
lab.allow("web-1", "customer", "ping", 1, "an outbound rule for type 8; the answer (type 0) needs none")
lab.deny("customer", "web-1", "icmp/13", 1, "a rule for all ICMP is too wide")
lab.deny("customer", "web-1", "icmp/0", 1, "an answer that nobody asked for stays out: type 0 needs no rule")
lab.deny("web-1", "customer", "icmp/13", 1)
lab.only([("customer", "web-1", "http"), ("internet", "web-1", "http"), ("customer", "web-1", "ping"), ("internet", "web-1", "ping")])
lab.check(network).require()
