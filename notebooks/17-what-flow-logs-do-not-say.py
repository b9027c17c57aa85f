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
# # What flow logs do not say
#
# A flow log has one line for each conversation at an interface, and each line says `ACCEPT` or `REJECT`. **Does `ACCEPT`
# mean that it worked? And does the log say who rejected?**
#
# The wrong ideas that this lab removes: *ACCEPT means delivered*, and *the log names the rule.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: flow-logs
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public, network_acl: edge}
      lost-a:   {cidr_block: 10.0.2.0/24, availability_zone: a, route_table: nowhere}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}], nowhere: []}
    network_acls:
      edge:
        ingress:
          - {rule: 90,  action: deny,  type: SSH, source: 0.0.0.0/0}
          - {rule: 100, action: allow, type: All traffic, source: 0.0.0.0/0}
        egress:
          - {rule: 100, action: allow, type: All traffic, destination: 0.0.0.0/0}
    security_groups:
      web: {ingress: [{type: HTTP, source: 0.0.0.0/0}, {protocol: tcp, ports: 8080, source: 0.0.0.0/0}]}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP, SSH]}
      batch: {subnet: lost-a, private_ip: 10.0.2.10, security_groups: [web]}
internet:
  customer: {ip: 192.0.2.77}
"""),
    flow_logs=True,
)
network.topology

# %% [markdown]
# ## Your prediction
# What stands in the log, at the interface of the machine in question? `ACCEPT`, `REJECT` or `nothing`.

# %%
prediction = {
    "customer fetches a page from web-1": "ACCEPT",
    "customer is refused on 8080, where nobody listens": "REJECT",
    "customer tries SSH": "REJECT",
    "batch pings the customer, without a route": "REJECT",
    "web-1 asks the resolver for a name": "ACCEPT",
}

# %% [markdown]
# ## The run

# %%
customer = network["customer"]
print(customer.curl("http://web-1/"), customer.connect("web-1", 8080), customer.connect("web-1", "SSH", timeout="2s"), sep="\n")
print(network["batch"].ping("192.0.2.77", 1, timeout="1s"), network["web-1"].dig("customer").addresses, sep="\n")

# %%
log = network.flow_log("web-1")
log

# %%
network.flow_log("batch")

# %%
ports = {80: "customer fetches a page from web-1", 8080: "customer is refused on 8080, where nobody listens", 22: "customer tries SSH"}
facts = {ports[row["dstport"]]: row["action"] for row in log.rows if row["dstport"] in ports}
facts["batch pings the customer, without a route"] = network.flow_log("batch").actions[0]
facts["web-1 asks the resolver for a name"] = (
    "nothing" if not [row for row in log.rows if 53 in (row["srcport"], row["dstport"])] else "ACCEPT"
)
Lab.compare(prediction, facts)

# %% [markdown]
# ## Why
# `ACCEPT` says one thing: no security group and no network ACL at *this interface* refused it. The ping of `batch` was
# accepted by its group, and lost one step later, for want of a route:

# %%
next(trace for trace in network.drops() if trace.reason == "NO_ROUTE_TO_DESTINATION")

# %% [markdown]
# On 8080 the packet was even delivered; the refusal is a packet of its own, and a line of its own, accepted as well. The
# resolver is the fabric's own service, which is not logged at all.
#
# And `REJECT`? For SSH the line would be the same, whether a group or an ACL said no. Here it was the ACL, at the edge:

# %%
next(trace for trace in network.drops() if trace.sent.five_tuple.destination_port == 22).why

# %% [markdown]
# ## Exercise
# SSH must work for the customer (192.0.2.77), for nobody else, and in the log there must not be a `REJECT` any more when he
# tries. The log cannot tell you how many obstacles there are; send the packet again after each change.

# %%
### BEGIN SOLUTION
network.acl_entry("edge", 80, "allow", "SSH", "192.0.2.77/32")
network.authorize("web", "SSH", "192.0.2.77/32")
### END SOLUTION
print(network.explain("customer", "web-1", "SSH").why or "passes")

# %% [markdown]
# ## Check


# %%
def no_reject(student):
    later = Network(student.topology, flow_logs=True)
    later["customer"].connect("web-1", "SSH", timeout="2s")
    actions = [row["action"] for row in later.flow_log("web-1").rows if 22 in (row["srcport"], row["dstport"])]
    return "ACCEPT" in actions and "REJECT" not in actions, f"the log says {', '.join(map(str, actions)) or 'nothing'}"


lab = Lab("What flow logs do not say")
lab.allow("customer", "web-1", "SSH", 2, "an ACL's lowest number decides, and the group has to allow it, too")
lab.probe("the log has no REJECT for it", no_reject, 1)
lab.deny("internet", "web-1", "SSH", 2)
lab.allow("internet", "web-1", "HTTP")
lab.only(
    [(who, "web-1", web) for who in ("customer", "internet") for web in ("http", "tcp/8080", "ssh")],
    sources=["customer"],
    destinations=["web-1"],
)
lab.check(network).require()
