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
# # Connections that outlive their rule
#
# An administrator is logged in over SSH. Somebody removes the rule that let him in. **What happens to his session? And
# what if he had just gone for lunch?**
#
# The wrong ideas that this lab removes: *removing a rule ends what it let in*, and *an idle connection lives for ever.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: tracked
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
          - {type: SSH,  source: 203.0.113.25/32}
          - {type: HTTP, source: 0.0.0.0/0}
    instances:
      web-1:
        subnet: public-a
        private_ip: 10.0.1.10
        elastic_ip: 198.51.100.10
        security_groups: [web]
        listen: [HTTP, SSH, tcp/8080]
        instance_type: m8g.large
internet:
  office: {ip: 203.0.113.25}
  customer: {ip: 192.0.2.77}
""")
)
network.topology

# %% [markdown]
# ## Your prediction
# Both the office (SSH) and the customer (HTTP) have an open connection. Then both rules are removed. Does the connection
# go on? `goes on` or `breaks`.

# %%
prediction = {"SSH from one address": "breaks", "HTTP from everybody": "breaks"}

# %% [markdown]
# ## The run

# %%
ssh = network["office"].connect("web-1", "SSH")
http = network["customer"].connect("web-1", "HTTP")
print(ssh, http, network.conntrack("web-1"), sep="\n")

# %%
before = network.snapshot()
network.revoke("web", "SSH", "203.0.113.25/32")
network.revoke("web", "HTTP", "0.0.0.0/0")
facts = {
    "SSH from one address": "goes on" if ssh.send("ls\n") else "breaks",
    "HTTP from everybody": "goes on" if http.send("GET / HTTP/1.1\r\n\r\n") else "breaks",
}
Lab.compare(prediction, facts)

# %% [markdown]
# ## Why
# Look again at what `web-1` remembered: **one** entry, for two open connections. SSH is tracked, so its packets match the
# entry and no rule is needed any more. HTTP is open to everybody, and so is everything outbound: such a flow is not
# tracked, as nothing could be gained by it. Its packets are judged one by one, and now there is no rule.

# %%
network.drops()[-1]

# %% [markdown]
# ## Lunch
# Back to the moment before. This instance type forgets a TCP connection that is idle for 350 seconds; older types keep it
# for five days. The administrator is away for six minutes; *then* his rule goes.

# %%
network.rewind(before)
network.run("360s")
network.revoke("web", "SSH", "203.0.113.25/32")
print("after lunch:", "goes on" if ssh.send("ls\n") else "breaks")
network.drops()[-1].why

# %% [markdown]
# ## Exercise
# Rules are back as at the beginning. In five minutes the SSH rule will be removed for good, and this session must be
# **cut** at that moment, not live on. You cannot wait for the idle timeout, as the session is busy. Make it so that the
# flow is not tracked from the start, and still only the office gets in:
# which piece of the VPC is stateless, and sees every packet?
#
# Change the rules *now*, before the session begins. (An ACL `default` is there; its entry 100 allows everything.)

# %%
network.rewind(before)
### BEGIN SOLUTION
network.authorize("web", "SSH", "0.0.0.0/0")
network.revoke("web", "SSH", "203.0.113.25/32")
network.acl_entry("default", 90, "allow", "SSH", "203.0.113.25/32")
network.acl_entry("default", 95, "deny", "SSH", "0.0.0.0/0")
### END SOLUTION

# %% [markdown]
# ## Check
# The check opens a session from the office, removes every SSH rule of the group, and looks whether the session is cut.


# %%
def is_cut(student):
    later = Network(student.topology)
    session = later["office"].connect("web-1", "SSH", timeout="5s")
    if not session.is_open:
        return False, "the office does not get in at all"
    for group in [group for group in later.topology.entities.values() if getattr(group, "name", "") == "web"]:
        kept = tuple(rule for rule in group.ingress if rule.ports != (22, 22) and rule.protocol != -1)
        later.edit(later.topology.changed(group.id, ingress=kept))
    return not session.send("ls\n"), "the session goes on: it is tracked, so no rule is asked"


lab = Lab("Connections that outlive their rule")
lab.allow("office", "web-1", "SSH")
lab.probe("the session is cut with its rule", is_cut, 3, "not tracked is what everybody may reach, with everything allowed back")
lab.deny("customer", "web-1", "SSH", 1, "an ACL at the subnet's edge can let in one address and deny the rest")
lab.allow("customer", "web-1", "HTTP")
lab.check(network).require()
