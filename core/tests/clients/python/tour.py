"""What the tours of the Python clients share: their steps, and the records that they send."""

import os
import time
from collections import namedtuple
from contextlib import contextmanager

PARTITIONS = 3
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
RECORDS = 100
START_MS = 1_700_000_000_000
PATIENCE_S = 30

Record = namedtuple("Record", "key value headers timestamp")


@contextmanager
def step(name):
    """Prints the step's outcome; the first that fails ends the program."""
    try:
        yield
    except Exception as error:
        print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        os._exit(1)
    print(f"ok   {name}", flush=True)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def records(codec):
    """One partition's records of a codec, each a second after the one before it; all shapes of keys and headers."""
    base = START_MS + CODECS.index(codec) * RECORDS * 1_000
    name = str(codec).encode()
    return [
        Record(
            key=None if n % 3 == 0 else b"%s-key-%d" % (name, n),
            value=None if n % 17 == 5 and n % 3 else b"%s-%d-" % (name, n) + b"x" * (n * 7),
            headers=[] if n % 4 else [("n", b"%d" % n), ("n", b"again"), ("empty", b"")],
            timestamp=base + n * 1_000,
        )
        for n in range(RECORDS)
    ]


def all_records():
    """What a partition holds in the end, in order."""
    return [record for codec in CODECS for record in records(codec)]


def until(what, condition):
    """Waits for what a cluster may take a moment to show everywhere."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)
