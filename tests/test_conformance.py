"""The conformance table is current and has no gaps."""

from tests.conformance import PARTLY, TABLE, WHY_NOT, facts, held, oracle, table


def test_the_table_is_the_one_that_the_tests_make():
    """tests/conformance.md is what ``python -m tests.conformance`` writes."""
    assert TABLE.read_text(encoding="utf-8") == table()


def test_every_scenario_is_a_test():
    """Each of the 51 worked scenarios is a test by its number."""
    assert {number for test in held() for number in test.scenarios} >= set(range(1, 52))


def test_every_documented_fact_is_held_or_says_why_not():
    """A documented fact has a test, or a line in the table that says why it has none."""
    named = {fact for test in held() for fact in test.facts}
    assert [fact for fact, (status, _) in facts().items() if status in ("D", "D*") and fact not in named and fact not in WHY_NOT] == []


def test_no_reason_is_given_for_what_is_held():
    """A fact that gets a test loses its excuse."""
    named = {fact for test in held() for fact in test.facts}
    assert sorted(fact for fact in WHY_NOT if fact in named) == []
    assert sorted(fact for fact in PARTLY if fact not in facts() or fact in WHY_NOT) == []


def test_the_counts_of_the_kernel_oracle_are_there():
    """At least 100,000 packets of 30 captures were held against the kernel, and no difference is unexplained."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in oracle()[0].splitlines() if line.startswith("| ")]
    counts = {row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in rows[1:]}
    packets, _, agree, documented, unexplained = counts.pop("**all**")
    assert len(counts) >= 30
    assert [packets, agree, documented] == [sum(row[column] for row in counts.values()) for column in (0, 2, 3)]
    assert (packets >= 100_000, packets - agree, unexplained) == (True, documented, 0)
