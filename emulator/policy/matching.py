"""Many rules against many subjects at once: the same `miss` that judges packets, row by row."""

from emulator.kernels import kernel
from emulator.policy.reasons import Miss
from emulator.policy.rules import Subject, miss
from emulator.policy.tables import Tables
from emulator.wire.headers import Matrix

# `miss` says apart what fails on the other side and what fails on the service, so the two can be asked apart.
PEER = int(Miss.FAMILY | Miss.BLOCK | Miss.LIST | Miss.GROUP | Miss.IDENTITY | Miss.STALE)
SERVICE = int(Miss.PROTOCOL | Miss.PORT | Miss.TYPE | Miss.CODE)


@kernel
def match_all(tables: Tables, rows: Matrix, subjects: Matrix, mask: int, out: Matrix) -> int:
    """Whether each rule matches each subject, as far as the fields in ``mask`` go.

    Parameters
    ----------
    rows : (n, 1) rule rows of ``tables.rules``.
    subjects : (m, 9) int64, columns as in `Subject`.
    mask : `PEER` or `SERVICE`, or both.
    out : (n, m) int64, set to 1 or 0.
    """
    for at in range(rows.shape[0]):
        rule = rows[at, 0]
        for column in range(subjects.shape[0]):
            subject = Subject(
                subjects[column, 0],
                subjects[column, 1],
                subjects[column, 2],
                subjects[column, 3],
                subjects[column, 4],
                subjects[column, 5],
                subjects[column, 6],
                subjects[column, 7],
                subjects[column, 8],
            )
            out[at, column] = 0 if miss(tables, rule, subject) & mask else 1
    return 0
