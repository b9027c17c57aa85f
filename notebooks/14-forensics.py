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
# # Forensics: the least rule that fixes it
#
# On Friday evening somebody tightened the security group of the database server. On Monday the application is down, and
# all that is left is a capture from *before* the change, when no group stood in the way. **Which conversation does the
# new group block, and what is the least rule that lets it live again, with nothing else?**
#
# The wrong idea that this lab removes: *it only works with 0.0.0.0/0.*

# %%
from pathlib import Path

from emulator import Lab, Network, load

root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "topologies").is_dir())
capture = root / "tests" / "captures" / "app-and-sql-server.pcap"
network = Network(load(root / "topologies" / "app-and-sql-server.yaml"))
network.topology

# %% [markdown]
# The capture was taken at the interface of `db`: 102 packets of real programs. `app-1` talks to the database; `batch`
# tried several things, some of which it should not; `db` sends its log to `app-1` and fetches a file from it.
#
# ## Your prediction
# How many conversations does the group `sql` block? Its rules: MSSQL from members of `app`, and nothing out.

# %%
prediction = {"blocked conversations": 3}

# %% [markdown]
# ## The run

# %%
replay = network.replay(capture)
Lab.compare(prediction, {"blocked conversations": len(replay.blocked)})

# %%
replay

# %%
axis = replay.draw(title="app-and-sql-server: Monday morning")

# %% [markdown]
# ## Why
# For each blocked conversation: the first packet that was lost, and the rule that came nearest.

# %%
for flow in replay.blocked:
    print(f"{flow.source} → {flow.destination} {flow.label}: {flow.why}")

# %% [markdown]
# ## Exercise
# The application's owner says: *`db` has to send its log to `app-1` (udp/514) and to fetch from `app-1` on tcp/8080; `app-1`
# may ping `db`. All the rest that is blocked is rightly blocked.* Write the least rules that do it: no block wider than one
# machine, no port that the capture does not show. A packet has to leave one interface and enter another; look at the
# replay again after your first rules, what was hidden behind them shows only then.

# %%
### BEGIN SOLUTION
network.authorize("sql", "udp/514", "10.0.1.10/32", direction="egress")
network.authorize("sql", "tcp/8080", "10.0.1.10/32", direction="egress")
network.authorize("sql", "ping", "10.0.1.10/32")
network.authorize("app", "udp/514", "10.0.9.10/32")
### END SOLUTION

# %% [markdown]
# ## Check
# The proof is the replay: the same packets through the new rules.


# %%
def wanted_ones_live(student):
    blocked = {(str(flow.source), str(flow.destination), flow.label) for flow in student.replay(capture).blocked if flow.verdict == "drop"}
    missing = blocked & {("db", "app-1", "udp/514"), ("db", "app-1", "tcp/8080"), ("app-1", "db", "icmp")}
    return not missing, "still blocked in the replay: " + ", ".join(" ".join(one) for one in sorted(missing))


def the_rest_stays_blocked(student):
    blocked = {(str(flow.source), flow.label) for flow in student.replay(capture).blocked}
    leaks = {("batch", "tcp/1433"), ("batch", "tcp/22"), ("batch", "tcp/5432"), ("batch", "icmp")} - blocked
    return not leaks, "now passes in the replay: " + ", ".join(" ".join(one) for one in sorted(leaks))


lab = Lab("Forensics")
lab.probe("what is wanted lives again", wanted_ones_live, 3, "udp/514 and tcp/8080 begin at db, and the log has to get into app-1, too")
lab.probe("the rest stays blocked", the_rest_stays_blocked, 2)
lab.allow("db", "app-1", "tcp/8080", 1)
lab.only(
    [("app-1", "db", "mssql"), ("app-1", "db", "ping"), ("db", "app-1", "tcp/8080"), ("db", "app-1", "udp/514")],
    services=("SSH", "HTTP", "MSSQL", "tcp/8080", "tcp/5432", "udp/514", "udp/53", "ping"),
    sources=["batch", "db", "app-1", "internet"],
    destinations=["db"],
    points=2,
)
lab.deny("db", "batch", "udp/514", 1, "one machine is 10.0.1.10/32")
lab.check(network).require()
