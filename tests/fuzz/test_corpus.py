"""The corpus that fuzzing found, replayed: no input fails, and none takes longer than a blink."""

import time

import pytest

from tests.fuzz.targets import CORPUS, TARGETS

INPUTS = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]
SECONDS = 10


@pytest.mark.parametrize(("target", "path"), INPUTS, ids=[f"{name}/{path.name}" for name, path in INPUTS])
def test_corpus(target, path):
    """A target takes every input of its corpus."""
    started = time.process_time()
    TARGETS[target](path.read_bytes())
    assert time.process_time() - started < SECONDS


def test_every_target_has_a_corpus():
    """No target goes without."""
    assert {name for name, _ in INPUTS} == set(TARGETS)
