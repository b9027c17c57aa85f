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
# # Replay a capture: what would the security group have stopped?
#
# A web server stood on a network without any filter, and everything that was said to it was recorded: a customer
# fetches pages, an office logs in over SSH, a scanner tries one port after the other. Now the server moves into a VPC
# and gets a security group. **Which of these conversations would still have taken place, and why not the others?**

# %%
from pathlib import Path

import emulator
from emulator import Rule

root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "topologies").is_dir())
capture = root / "tests" / "captures" / "web-server.pcap"

# %% [markdown]
# ## The drawing
# The topology is a file. Look at the security group `web`: four rules for what comes in, and no word of what goes out,
# which means AWS's default, everything.

# %%
print((root / "topologies" / "web-server.yaml").read_text(encoding="utf-8"))

# %%
topology = emulator.load(root / "topologies" / "web-server.yaml")
topology

# %% [markdown]
# ## Your prediction
# The capture has these conversations with `web-1`, and more. Write `accept` or `drop` beside each **before** you run
# the next cell. Two hints: a security group knows only *allow*, and the office has 203.0.113.0/25.

# %%
prediction = {
    ("customer", "tcp/443"): "accept",
    ("customer", "icmp"): "accept",
    ("customer", "tcp/22"): "accept",
    ("office-pc", "tcp/22"): "accept",
    ("scanner", "tcp/22"): "accept",
    ("scanner", "tcp/3306"): "accept",
    ("web-1", "udp/53"): "accept",
}

# %% [markdown]
# ## The run
# Every packet of the capture goes through the network. Answers to what was blocked are not sent: nobody answers a
# packet that never came.

# %%
network = emulator.Network(topology)
replay = network.replay(capture)
replay

# %%
verdicts = {(str(flow.source), flow.label): flow.verdict for flow in replay.flows}
for (source, service), guess in prediction.items():
    found = verdicts[source, service]
    print("right" if guess == found else "wrong", f"{source:10} {service:9} you said {guess}, it was {found}", sep="\t")

# %% [markdown]
# Green passed. Red ends in a ✕ where it died: below the interface of `web-1`, whose group has no rule for it. One
# conversation that `web-1` began itself is amber: all of it passed but its very last acknowledgement, which came when
# the connection was closed and forgotten.

# %%
axis = replay.draw(title="web-server: what the group web lets through")

# %% [markdown]
# ## Why
# `explain` sends one packet through the same rules and tells every step. The customer's ping gets as far as the
# interface. No rule allows ICMP, and *no rule* is the reason: there is no rule that forbids it.

# %%
network.explain("customer", "web-1", "icmp")

# %% [markdown]
# The scanner's SSH came nearest to the rule for the office: protocol and port fit, the sender does not. The office has
# 203.0.113.0 to .127, the scanner is .200.

# %%
network.explain("scanner", "web-1", "tcp/22").why.nearest.text

# %% [markdown]
# ## The edit, and the run again
# The customer's monitoring wants an answer to its pings. One more rule, as narrow as it can be: echo requests (ICMP
# type 8) from this one address. The reply needs no rule: the group remembers the request.

# %%
web = topology.find("web")
ping = Rule.of("icmp/8", "192.0.2.77/32", "Echo requests of the monitoring")
better = topology.changed(web.id, ingress=(*web.ingress, ping))
again = emulator.Network(better).replay(capture)
axis = again.draw(title="web-server: with a rule for pings")

# %%
for before, after in zip(replay.flows, again.flows, strict=True):
    if before.verdict != after.verdict:
        print(f"{after.source} → {after.destination} {after.label}: {before.verdict}, now {after.verdict}")

# %% [markdown]
# ## Exercise
# The customer's administrator shall reach SSH too, from 192.0.2.77 and nowhere else. Write the one rule that does it.

# %%
answer = Rule.of("SSH", "0.0.0.0/0", "Administration")
### BEGIN SOLUTION
answer = Rule.of("SSH", "192.0.2.77/32", "The customer's administrator")
### END SOLUTION

# %%
solved = better.changed(web.id, ingress=(*better.find("web").ingress, answer))
found = {(str(flow.source), flow.label): flow.verdict for flow in emulator.Network(solved).replay(capture).flows}
assert found["customer", "tcp/22"] == "accept", "the customer's SSH is still blocked: which port has SSH, which address the customer?"
assert found["scanner", "tcp/22"] == "drop", "now the scanner gets in as well: which addresses does your rule let in?"
assert found["customer", "tcp/8080"] == "drop", "tcp/8080 got open too: SSH is one port"
assert not emulator.Network(solved).explain("internet", "web-1", "tcp/22").reachable, "anybody on the internet reaches SSH now"
print("Right: one more conversation passes, and nobody else got in.")
