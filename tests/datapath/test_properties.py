"""What holds of every network and all traffic: one meaning however it is run, and edits that change nothing or only for the better.

More examples than the quick suite takes: ``VPCEMU_EXAMPLES=20 python -m pytest tests/datapath/test_properties.py``.
"""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.datapath.loop import advance
from emulator.engine import Engine
from emulator.kernels import available, compiled
from emulator.model import edits
from emulator.model.entities import ConnectionTracking
from emulator.model.groups import Direction, Rule
from emulator.wire.headers import Field
from tests.base import APP1, DB, base, group
from tests.datapath.worlds import GROUPS, RULE, World, in_names, run, told, traffic, verdicts, worlds
from tests.dialogue import NO_RULES, Dialogue, tcp

SCALE = int(os.environ.get("VPCEMU_EXAMPLES", "1"))


def few(examples):
    """So many examples in the quick suite, more on request; no deadline, for the first example may load compiled code."""
    return settings(max_examples=examples * SCALE, deadline=None)


@pytest.fixture(scope="session")
def machine_code():
    """The compiled loop, made once a session."""
    if not available():
        pytest.skip("compiled kernels are switched off here (NUMBA_DISABLE_JIT) or numba is absent")
    return compiled(advance)


@few(60)
@given(world=worlds(), rows=traffic(), causal=st.booleans())
def test_compiled_and_interpreted_runs_agree_bit_for_bit(machine_code, world, rows, causal):
    """Machine code writes the same journal, outcomes, entries and counters as the interpreter."""
    topology = world.topology()
    fast = run(topology, rows, compiled=True, causal=causal)
    assert fast._loop is machine_code
    assert told(fast) == told(run(topology, rows, causal=causal))


@few(40)
@given(world=worlds(), rows=traffic(), lengths=st.lists(st.integers(0, 5), max_size=12), causal=st.booleans())
def test_any_chunking_and_stepping_give_one_journal(world, rows, lengths, causal):
    """Fed at once, in stretches of any length, or event by event: the same bytes."""
    topology = world.topology()
    whole = told(run(topology, rows, causal=causal))
    assert told(run(topology, rows, lengths, causal=causal)) == whole
    assert told(run(topology, rows, causal=causal, steps=True)) == whole


@few(30)
@given(world=worlds(), rows=traffic(), order=st.randoms(use_true_random=False))
def test_the_order_of_rules_and_groups_is_nothing(world, rows, order):
    """Shuffled rules and groups name another rule at times, and decide nothing else (SG-4)."""

    def shuffled(things):
        return None if things is None else order.sample(things, len(things))

    groups = {name: (shuffled(into), shuffled(out)) for name, (into, out) in world.groups.items()}
    members = {name: shuffled(has) for name, has in world.members.items()}
    other = World(groups, members, world.links, world.policy, world.by_router)
    assert in_names(run(other.topology(), rows), {"RULE"}) == in_names(run(world.topology(), rows), {"RULE"})


@few(30)
@given(world=worlds(), rows=traffic(), later=st.integers(0, 10**18))
def test_shifting_time_shifts_the_journal(world, rows, later):
    """All packets later by the same time: every step is, and nothing else changes."""
    moved = rows.copy()
    moved[:, Field.TIME_NS] += later
    steps, ends = in_names(run(world.topology(), rows))
    moved_steps, moved_ends = in_names(run(world.topology(), moved))
    for row in (*moved_steps, *moved_ends):
        row["TIME_NS"] -= later
    assert (moved_steps, moved_ends) == (steps, ends)


@few(30)
@given(world=worlds(), rows=traffic())
def test_renaming_everything_renames_the_journal(world, rows):
    """Other names and ids: the same integers, for ids are given in the order of declaration."""
    other = world.topology(rename=lambda name: f"x-{name}-y")
    assert told(run(other, rows)) == told(run(world.topology(), rows))


@few(30)
@given(world=worlds(links=st.just([])), rows=traffic(), order=st.randoms(use_true_random=False))
def test_the_order_of_declaration_is_nothing(world, rows, order):
    """Other numbers for the same names: the same steps in names, whatever the places in tables and hashes."""
    other = world.topology(order=lambda parts: order.sample(parts, len(parts)))
    assert in_names(run(other, rows)) == in_names(run(world.topology(), rows))


CALM = st.fixed_dictionaries(
    {},
    optional={
        "midstream_tcp": st.sampled_from(["rules_only", "pickup", "strict"]),
        "tcp_embryonic_s": st.sampled_from([20, 60]),
        "icmp_error_related": st.booleans(),
        "tcp_default_established_s": st.sampled_from([60, 350]),
        "frag_policy": st.sampled_from(["reassemble", "first_fragment", "drop_noninitial"]),
        "srcdst_after_sg": st.booleans(),
    },
)
UNCLOSED = st.sampled_from([0x02, 0x12, 0x10, 0x18, 0x00])  # no FIN and no RST


@few(50)
@given(
    world=worlds(policies=CALM, links=st.just([])),
    rows=traffic(flags=UNCLOSED),
    rule=RULE,
    group=st.sampled_from(GROUPS),
    outward=st.booleans(),
)
def test_a_rule_more_never_drops_a_packet_that_passed(world, rows, rule, group, outward):
    """Adding a rule lets the same packets through, and perhaps more (SG-4).

    A rule takes all packets that a flow has in one direction or none of them, so at its own interface the new rule lets
    pass whatever an entry would have; a flow that it makes untracked is carried both ways by rules for everyone; and at
    other interfaces more packets only open entries and keep them alive.  It is *not* promised where packets compete (a
    full tracking table, a link with a rate), nor where one more packet ends what another interface remembers: that is
    why the traffic here has no FIN and no RST, see `test_a_rule_more_can_close_an_entry_elsewhere`.
    """
    into, out = world.groups[group]
    changed = (into, [*(out or []), rule]) if outward and out is not None else ([*into, rule], out)
    if len(set(changed[0])) < len(changed[0]) or (changed[1] is not None and len(set(changed[1])) < len(changed[1])):
        return  # it had the rule already
    more = World({**world.groups, group: changed}, world.members, world.links, world.policy, world.by_router)
    before, after = verdicts(run(world.topology(), rows)), verdicts(run(more.topology(), rows))
    lost = [index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old == 1 and new != 1]
    assert not lost, f"packets {lost} passed before {rule} was added to {group}"


def test_a_rule_more_can_close_an_entry_elsewhere():
    """The exception: what the new rule lets out of one interface can end a flow that another interface remembers.

    app1 forgets sooner than db.  Its stray FIN leaves only with the rule; at db it counts as half of an end, so that
    when the same ports are used in earnest and db closes its own side, db's entry is gone while app1 still sends.
    """
    server, client = group("srv", [("tcp/22", "10.0.0.0/8")], []), group("cli", [], [("tcp/22", "10.0.0.0/8")])
    topology = base(server, client, app1="srv", db="cli").changed("eni-app1", tracking=ConnectionTracking(tcp_established_s=60))
    out, back = (DB, APP1, "40000>22"), (APP1, DB, "22>40000")
    talks = [Dialogue(topology), Dialogue(edits.authorize(topology, "srv", Direction.EGRESS, Rule.of("tcp/40000", f"{DB}/32")))]
    for talk in talks:
        for ends, flags in ((out, "S"), (back, "SA"), (out, "A")):
            talk.send(tcp(*ends, flags)).accepted(tracked=True)
        talk.at(100).send(tcp(*back, "FA"))
        for ends, flags in ((out, "A"), (out, "S"), (back, "SA"), (out, "A"), (out, "FA"), (back, "A")):
            talk.send(tcp(*ends, flags)).accepted()
    talks[0].send(tcp(*back, "PA")).accepted(tracked=True)
    talks[1].send(tcp(*back, "PA")).dropped("I2(db)", NO_RULES)


@few(20)
@given(world=worlds(), rows=traffic(), causal=st.booleans())
def test_the_same_run_twice_gives_the_same_bytes(world, rows, causal):
    """Nothing but the input shapes a journal, also after a snapshot in the middle of it."""
    first = run(world.topology(), rows, causal=causal)
    again = Engine(world.topology(), compiled=False)
    again.causal = causal
    half = len(rows) // 2
    if half:
        again.feed(rows[:half])
    twin = again.copy()
    twin.feed(rows[half:])
    twin.advance()
    assert told(twin) == told(first)
    assert first.state.journal[: int(first.state.counts[4, 0])].tobytes() == twin.state.journal[: int(twin.state.counts[4, 0])].tobytes()


DIGEST = """
import hashlib, sys
sys.path.insert(0, "")
from tests.datapath.test_properties import digest_of_a_fixed_run
print(digest_of_a_fixed_run())
"""


def digest_of_a_fixed_run():
    """A digest of the journal of one fixed world and traffic."""
    rules = [("tcp/22", "10.0.0.0/8"), ("udp/53", "@g1"), ("icmp", "0.0.0.0/0"), ("tcp/80", "%")]
    world = World({name: (rules[:3], None if name == "g0" else rules) for name in GROUPS}, {name: ["g0", "g1"] for name in "abcr"})
    generator = np.random.default_rng(7)
    rows = np.zeros((200, len(Field)), dtype=np.int64)
    rows[:, Field.FAMILY], rows[:, Field.TTL], rows[:, Field.LENGTH] = 4, 64, 60
    rows[:, Field.PROTOCOL] = generator.choice([6, 17, 1], 200)
    rows[:, Field.TIME_NS] = np.cumsum(generator.integers(0, 10**10, 200))
    rows[:, Field.INDEX] = np.arange(200)
    mapped = 0xFFFF << 32
    hosts = np.array([0x0A00010A, 0x0A00010B, 0x0A00020A, 0xCB00710C]) | mapped
    rows[:, Field.SOURCE_LO], rows[:, Field.DESTINATION_LO] = generator.choice(hosts, 200), generator.choice(hosts, 200)
    rows[:, Field.SOURCE_PORT], rows[:, Field.DESTINATION_PORT] = generator.choice([22, 53, 80, 4000], (2, 200))
    rows[:, Field.FLAGS], rows[:, Field.TYPE] = generator.choice([2, 18, 16], 200), generator.choice([0, 8], 200)
    return hashlib.sha256(repr(told(run(world.topology(), rows))).encode()).hexdigest()


def test_another_process_writes_the_same_journal():
    """Neither the seed of Python's hashes nor anything else of a process shows in a journal."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert {done.stdout.strip() for done in runs} == {digest_of_a_fixed_run()}
