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
# # A web server for the world: silence or refusal?
#
# A connection does not come about. Is the program down, or is a rule missing? The machine that asks can tell, if one
# knows what to look for. **What is the difference between a closed port and a blocked one?**
#
# The wrong idea that this lab removes: *a closed port and a blocked port look alike.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: web-server
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
          - {type: HTTP,  source: 0.0.0.0/0}
          - {type: HTTPS, source: 0.0.0.0/0}
          - {protocol: tcp, ports: 8080, source: 0.0.0.0/0}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP, SSH]}
internet:
  customer: {ip: 192.0.2.77}
links:
  - {between: [customer, igw], latency: 40ms}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# `web-1` runs two programs: a web server on 80 and SSH on 22. Its group has rules for 80, 443 and 8080. What does the
# customer's scanner say: `open`, `closed` or `filtered`?

# %%
prediction = {22: "open", 80: "open", 443: "open", 8080: "open", 3306: "closed"}

# %% [markdown]
# ## The run

# %%
scan = network["customer"].scan("web-1", sorted(prediction))
scan

# %%
Lab.compare(prediction, scan.states)

# %% [markdown]
# ## Why
# Look at both ends at once. The customer's own capture has every SYN:

# %%
network.tcpdump("customer", "tcp and port 8080")

# %%
network.tcpdump("customer", "tcp and port 22")

# %% [markdown]
# On 8080 a reset (`R`) comes back after one round trip: the packet **arrived**, and the kernel of `web-1` said that nobody
# listens. On 22 nothing comes back, and the customer asks again after one second: the security group dropped the SYN
# without a word. A security group never answers. On `web-1` itself the capture shows the difference:

# %%
network.tcpdump("web-1", "port 22")

# %% [markdown]
# What a person sees is the waiting. How long does a connection attempt take?

# %%
refused = network["customer"].connect("web-1", 8080)
silent = network["customer"].connect("web-1", 22)
for attempt in (refused, silent):
    print(attempt, f"({attempt.elapsed_ns / 1e9:.2f} s)", sep="\n", end="\n\n")

# %% [markdown]
# ## Exercise
# 1. `diagnosis`: for each complaint write `program` (the packet arrives, nobody listens) or `rule` (it never arrives).
# 2. Then set things right: SSH must work **from the customer alone** (192.0.2.77), 443 must no longer be let in, as
#    nothing listens there, and 8080 neither.

# %%
diagnosis = {"Connection refused": "", "Connection timed out": ""}
### BEGIN SOLUTION
diagnosis = {"Connection refused": "program", "Connection timed out": "rule"}
network.authorize("web", "SSH", "192.0.2.77/32")
network.revoke("web", "HTTPS", "0.0.0.0/0")
network.revoke("web", "tcp/8080", "0.0.0.0/0")
### END SOLUTION

# %% [markdown]
# ## Check

# %%
lab = Lab("Silence or refusal")
lab.answer("what refused means", diagnosis["Connection refused"], "program", hint="a reset can only come from the machine itself")
lab.answer("what a timeout means", diagnosis["Connection timed out"], "rule", hint="a security group drops without a word")
lab.allow("customer", "web-1", "SSH", 2)
lab.allow("internet", "web-1", "HTTP")
lab.only([("customer", "web-1", "ssh"), ("customer", "web-1", "http"), ("internet", "web-1", "http")], points=2, hint="/32 is one address")
lab.check(network).require()
