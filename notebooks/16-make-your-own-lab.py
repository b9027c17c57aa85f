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
# # For teachers: a lab of your own, in ten lines
#
# A lab is a topology, a task, and probes. A probe is a packet; you say whether it must pass, how many points that is
# worth, and what to tell a student who is wrong. This notebook makes one, and shows what students see.

# %%
from emulator import Lab, Network, loads

shop = loads("""
topology: ten-lines
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets: {public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups: {web: {ingress: [{type: HTTP, source: 0.0.0.0/0}]}}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP, SSH]}
internet: {office: {ip: 203.0.113.25}, customer: {ip: 192.0.2.77}}
""")

# %% [markdown]
# ## The ten lines

# %%
lab = Lab("The office gets in")
lab.allow("office", "web-1", "SSH", points=2, hint="a rule of web, for what comes in")
lab.allow("customer", "web-1", "HTTP", points=1, hint="was there before, and must stay")
lab.deny("customer", "web-1", "SSH", points=2, hint="0.0.0.0/0 is everybody")
lab.only([("office", "web-1", "HTTP"), ("internet", "web-1", "HTTP")], points=2, hint="what was not asked for stays shut")

# %% [markdown]
# ## What a student sees who has done nothing

# %%
network = Network(shop)
lab.check(network)

# %% [markdown]
# ## … who has done too much
# The message names the packet that shows it, and the rule that let it in.

# %%
network.authorize("web", "all", "0.0.0.0/0")
lab.check(network)

# %% [markdown]
# ## … and who has got it right

# %%
network = Network(shop)
network.authorize("web", "SSH", "203.0.113.25/32")
lab.check(network).require()

# %% [markdown]
# ## Marking
# `require()` raises an error with the message in it, so the check cell can be nbgrader's test cell as it is. For points
# without nbgrader, there is a table, a row a probe; `to_csv("marks.csv", student)` adds it to a file:

# %%
print(lab.check(network).csv(student="alice"))

# %% [markdown]
# ## Handing it out
# Put your own solution between the marks `### BEGIN SOLUTION` and `### END SOLUTION` in a cell, and the check after it. Then
#
# ```
# vpcemu labs copy students --lab my-lab.ipynb
# vpcemu labs check students/my-lab.ipynb --master my-lab.ipynb --csv marks.csv
# ```
#
# writes the copy that students get, with one line in the solution's place, and marks what comes back, with your check in
# place of theirs. nbgrader knows the same marks and the cells' metadata, so it can do both as well. Keep both versions
# honest: your solution must pass, and the copy must fail.

# %% [markdown]
# ## Probes that do more
# `probe` takes any function of the student's network that gives (is it right, what was found). It may run machines, too:


# %%
def pages_are_served(student):
    page = Network(student.topology)["customer"].curl("http://web-1/", timeout="3s")
    return page.ok, f"curl said: {page}"


lab.probe("customers get their page", pages_are_served, points=1)
lab.check(network)

# %% [markdown]
# ## Exercise
# Make the lab stricter: the office must be able to ping `web-1`, worth 1 point. Then build what it asks for.

# %%
### BEGIN SOLUTION
lab.allow("office", "web-1", "ping", points=1, hint="ping is an echo request, ICMP type 8")
network.authorize("web", "ping", "203.0.113.25/32")
### END SOLUTION

# %%
grade = lab.check(network)
assert any("ping" in finding.name for finding in grade.findings), "the lab does not ask for ping yet"
grade.require()
