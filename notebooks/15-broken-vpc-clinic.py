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
# # The broken-VPC clinic
#
# Eight people have called this morning. Each of their complaints has **one** cause, somewhere in a security group, a
# network ACL or a route table. Find it, and set right that and nothing else.
#
# The wrong idea that this lab removes: *open everything, then it works.*

# %%
from emulator import Lab, Network, loads

network = Network(
    loads("""
topology: clinic
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
      app-a:    {cidr_block: 10.0.2.0/24, availability_zone: a, route_table: inside}
      data-b:   {cidr_block: 10.0.9.0/24, availability_zone: b, route_table: inside, network_acl: data}
    route_tables:
      public: [{destination: 0.0.0.0/0, target: igw}]
      inside: []
    network_acls:
      data:
        ingress:
          - {rule: 90,  action: deny,  protocol: tcp, ports: 5000-5999, source: 10.0.0.0/16}
          - {rule: 100, action: allow, protocol: tcp, ports: 5432, source: 10.0.2.0/24}
          - {rule: 110, action: allow, protocol: tcp, ports: 22, source: 10.0.1.0/24}
        egress:
          - {rule: 100, action: allow, protocol: tcp, ports: 1024-65535, destination: 10.0.2.0/24}
    security_groups:
      old-web: {}
      web:
        ingress:
          - {type: HTTP, source: 0.0.0.0/0}
          - {protocol: tcp, ports: 433, source: 0.0.0.0/0}
          - {type: SSH, source: 203.0.113.52/32}
          - {protocol: icmp, icmp_type: 0, icmp_code: 0, source: 192.0.2.9/32}
      app:
        ingress:
          - {protocol: tcp, ports: 8080, source: old-web}
          - {protocol: tcp, ports: 8080, source: 10.7.0.0/16}
          - {protocol: tcp, ports: 8080, source: sql}
      sql:
        ingress:
          - {type: PostgreSQL, source: app}
          - {type: SSH, source: web}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP, HTTPS, SSH]}
      app-1: {subnet: app-a,  private_ip: 10.0.2.10, security_groups: [app], listen: [tcp/8080]}
      db:    {subnet: data-b, private_ip: 10.0.9.10, security_groups: [sql], listen: [PostgreSQL, SSH]}
  partner:
    cidr_block: 10.7.0.0/16
    subnets: {desk: {cidr_block: 10.7.1.0/24, availability_zone: a, route_table: there}}
    route_tables: {there: [{destination: 10.0.0.0/16, target: shop-partner}]}
    security_groups: {clerks: {}}
    instances: {clerk: {subnet: desk, private_ip: 10.7.1.10, security_groups: [clerks]}}
vpc_peering_connections:
  shop-partner: {requester: shop, accepter: partner}
internet:
  customer: {ip: 192.0.2.77}
  office:   {ip: 203.0.113.25}
  monitor:  {ip: 192.0.2.9}
""")
)
network.topology

# %% [markdown]
# ## The waiting room

# %%
complaints = {
    "1 customers get no HTTPS": ("customer", "web-1", "HTTPS"),
    "2 the office cannot log in": ("office", "web-1", "SSH"),
    "3 the monitor says that web-1 is down": ("monitor", "web-1", "ping"),
    "4 the web server does not reach the application": ("web-1", "app-1", "tcp/8080"),
    "5 the application does not reach the database": ("app-1", "db", "PostgreSQL"),
    "6 nobody can log in to the database from web-1": ("web-1", "db", "SSH"),
    "7 the partner's clerk does not reach the application": ("clerk", "app-1", "tcp/8080"),
    "8 the database cannot report to the application": ("db", "app-1", "tcp/8080"),
}
for complaint, question in complaints.items():
    print(f"{complaint}: {network.explain(*question).why}\n")

# %% [markdown]
# ## Your prediction
# Where is the cause of each: `group`, `acl` or `route`?

# %%
prediction = dict.fromkeys(complaints, "group")

# %% [markdown]
# ## Why
# The first line of defence is the code. `ENI_SG_RULES_MISMATCH` is a group, `SUBNET_ACL_RESTRICTION` an ACL,
# `NO_ROUTE_TO_DESTINATION` a route table; the place says at which end. Number 6 is worth a look: the packet arrives, and
# what is lost is its answer.

# %%
places = {"ENI_SG_RULES_MISMATCH": "group", "SG_HAS_NO_RULES": "group", "SUBNET_ACL_RESTRICTION": "acl", "NO_ROUTE_TO_DESTINATION": "route"}
Lab.compare(prediction, {complaint: places[network.explain(*question).why.code] for complaint, question in complaints.items()})

# %%
network.explain("web-1", "db", "SSH")

# %% [markdown]
# ## Exercise
# Treat all eight. A rule that let in the wrong one goes; one that let in too much was never asked for.
# The words are those of the labs before: `authorize`, `revoke`, `acl_entry`, `delete_acl_entry`, `route`.

# %%
### BEGIN SOLUTION
network.revoke("web", "tcp/433", "0.0.0.0/0")
network.authorize("web", "HTTPS", "0.0.0.0/0")
network.revoke("web", "SSH", "203.0.113.52/32")
network.authorize("web", "SSH", "203.0.113.25/32")
network.revoke("web", "icmp/0/0", "192.0.2.9/32")
network.authorize("web", "ping", "192.0.2.9/32")
network.revoke("app", "tcp/8080", "old-web")
network.authorize("app", "tcp/8080", "web")
network.delete_acl_entry("data", 90)
network.acl_entry("data", 120, "allow", "tcp/32768-65535", "10.0.2.0/24")
network.acl_entry("data", 110, "allow", "tcp/1024-65535", "10.0.1.0/24", direction="egress")
network.route("inside", "10.7.0.0/16", "shop-partner")
### END SOLUTION
for complaint, question in complaints.items():
    print("well" if network.explain(*question).reachable else "ill ", complaint)

# %% [markdown]
# ## Check

# %%
lab = Lab("The clinic")
for question in complaints.values():
    lab.allow(*question, points=1)
lab.deny("203.0.113.52", "web-1", "SSH", 1, "the wrong address still gets in")
lab.deny("monitor", "web-1", "icmp/0", 1, "type 0 is the answer, not the question")
lab.deny("web-1", "db", "PostgreSQL", 1)
lab.only(
    [*complaints.values(), *((who, "web-1", web) for who in ("customer", "office", "monitor", "internet") for web in ("http", "https"))],
    services=("SSH", "HTTP", "HTTPS", "tcp/433", "tcp/8080", "PostgreSQL", "tcp/5433", "udp/53", "ping"),
    destinations=["web-1", "app-1", "db", "clerk"],
    sources=["customer", "office", "monitor", "internet", "clerk", "db"],
    points=4,
    hint="treat the cause alone",
)
lab.check(network).require()
