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
# # The packet that was too big
#
# "The site is up, logging in works, and then it hangs." Small pages come, large ones never. Somebody had read that one
# should block all ICMP. **What has that to do with it?**
#
# The wrong idea that this lab removes: *blocking all ICMP is safer.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: path-mtu
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      web: {ingress: [{type: HTTP, source: 0.0.0.0/0}]}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP]}
internet:
  customer: {ip: 192.0.2.77}
  institute: {ip: 192.0.2.99}
links:
  - {between: [customer, igw], latency: 10ms}
  - {between: [institute, igw], latency: 10ms}
""")
)
network["web-1"].publish("/small", "a few words\n")
network["web-1"].publish("/large", "x" * 6000)
network["institute"].set_mtu(9001)
network.topology

# %% [markdown]
# Inside a VPC a packet may have 9001 bytes, on the way to the internet 1500. The customer's own network takes 1500, too.
# The institute has a fine modern one, with 9001 like `web-1`. Between the two there are still 1500.
#
# ## Your prediction
# `comes` or `hangs`?

# %%
prediction = {
    ("customer", "/small"): "comes",
    ("customer", "/large"): "comes",
    ("institute", "/small"): "comes",
    ("institute", "/large"): "comes",
}

# %% [markdown]
# ## The run

# %%
moment = network.snapshot()
pages = {(who, page): network[who].curl(f"http://web-1{page}", timeout="30s") for who, page in prediction}
Lab.compare(prediction, {key: "comes" if page.ok else "hangs" for key, page in pages.items()})

# %%
pages["institute", "/large"]

# %% [markdown]
# ## Why
# Each side says in its SYN how large a segment it takes. Customer and `web-1` agree on 1460 bytes, which fit. Institute and
# `web-1` agree on 8961, of which the path in between knows nothing:

# %%
[row for row in network.tcpdump("web-1", "host 192.0.2.99").rows if "Flags [S" in row][-2:]

# %% [markdown]
# `web-1` sends 6000 bytes in one packet, marked "do not fragment", as TCP always does. The subnet's router cannot pass it
# on. It drops it, and **says so**, with the size that would fit: ICMP type 3 code 4.

# %%
large = next(trace for trace in network.drops() if trace.reason == "EMU_MTU_EXCEEDED")
large

# %% [markdown]
# And this is what became of the router's message:

# %%
next(trace for trace in network.drops() if trace.reason == "ENI_SG_RULES_MISMATCH")

# %% [markdown]
# `web-1` never learns, and sends the same 6000 bytes again and again:

# %%
for row in network.tcpdump("web-1", "tcp and host 192.0.2.99").rows[-6:]:
    print(row)

# %% [markdown]
# ## Exercise
# Go back in time and let the message in: this kind of message, and no other ICMP. Then fetch the large page.

# %%
network.rewind(moment)
### BEGIN SOLUTION
network.authorize("web", "icmp/3/4", "0.0.0.0/0")
### END SOLUTION
page = network["institute"].curl("http://web-1/large", timeout="30s")
print(len(page.text), "characters" if page.ok else page)

# %% [markdown]
# ## Check


# %%
def large_page_comes(student):
    later = Network(student.topology)
    later["web-1"].publish("/large", "x" * 20_000)
    later["institute"].set_mtu(9001)
    fetched = later["institute"].curl("http://web-1/large", timeout="30s")
    return fetched.ok and len(fetched.text) == 20_000, f"curl said: {str(fetched)[:80]}"


lab = Lab("The packet that was too big")
lab.probe("the institute gets the large page", large_page_comes, 3, "type 3 is 'unreachable', code 4 is 'fragmentation needed'")
lab.deny("customer", "web-1", "ping", 1, "echo requests need not be let in")
lab.deny("customer", "web-1", "icmp/5", 1, "least of all redirects")
lab.only([(who, "web-1", "http") for who in ("customer", "institute", "internet")])
lab.check(network).require()
