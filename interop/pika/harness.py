"""What both adapters' scenarios share: how scenarios are collected and reported, and what they compare with."""

import datetime
import decimal
import os
import sys
import uuid

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
SECONDS = 20
RUN = uuid.uuid4().hex[:8]

LARGE = bytes(i % 251 for i in range(251)) * (5 * 1024 * 1024 // 251 + 1)
HEADERS = {
    "bool": True,
    "int": -2**31,
    "long": 2**62,
    "decimal": decimal.Decimal("-3.14"),
    "string": "grüße",
    "empty": "",
    "bytes": b"\x00\xff\xfe",
    "time": datetime.datetime(2024, 2, 29, 12, 30, 15, tzinfo=datetime.timezone.utc),
    "none": None,
    "list": [1, "two", [False, None], {"three": 3}],
    "table": {"inner": {"deep": [b"\x80", 2**40]}, "nothing": {}},
}

_scenarios = {}


def scenario(function):
    _scenarios[function.__name__.rstrip("_").replace("_", "-")] = function
    return function


def report(run, not_expressible):
    """Runs the scenarios named on the command line, or all, and prints a line for each."""
    failed = False
    for name, function in _scenarios.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            run(function)
            print(f"PASS {name}", flush=True)
        except Exception as error:
            failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {name}: {reason}", flush=True)
    for name, reason in not_expressible.items():
        print(f"N/A {name}: {reason}", flush=True)
    sys.exit(failed)


def name(suffix):
    return f"interop.pika.{RUN}.{uuid.uuid4().hex[:6]}.{suffix}"


def equal(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"saw {str(seen)[:300]!r}, not {str(wanted)[:300]!r}")
