"""What the Python clients' tests share: TAP lines, and the stand-in's view of a hanging call."""

import asyncio
import json
import os
import sys
import traceback
import urllib.request

UPSTREAM = os.environ["UPSTREAM"]
URL = os.environ["RENKEI_URL"]
BINARY = os.environ["RENKEI_BINARY"]
CONFIG = os.environ["RENKEI_CONFIG"]

TOOLS = ["get_item", "list_colours", "add", "picture", "refused", "broken", "steps", "long_list", "wait", "order"]
RESOURCES = ["shop://motto", "shop://dot", "shop://colours/red", "shop://colours/sea%20green"]
# Of the group `small`, which has an endpoint of its own.
GROUP = "small"
GROUP_TOOLS = ["get_item", "add"]
GROUP_RESOURCES = ["shop://motto", "shop://colours/red", "shop://colours/sea%20green"]
TEMPLATES = ["shop://colours/{name}", "shop://items/{id}"]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
READ = [
    ("shop://motto", "text/plain", "A lamp for every desk."),
    ("shop://dot", "image/png", DOT),
    ("shop://colours/sea%20green", "application/json", '{"name":"sea green","light":60}'),
]
LAMP = {"id": 1, "name": "lamp", "price": 12.5}

# No single step may take longer; the stand-in itself waits at most ten seconds.
LIMIT_SECONDS = 30

_count = 0
_failed = 0


async def case(name, run):
    """Runs one test and prints its line."""
    global _count, _failed
    _count += 1
    try:
        await asyncio.wait_for(run(), LIMIT_SECONDS)
        print(f"ok - {name}", flush=True)
    except Exception:
        _failed += 1
        print(f"not ok - {name}")
        for line in traceback.format_exc(limit=-2).splitlines():
            print(f"# {line}")
        sys.stdout.flush()


def fail(name, why):
    """A test that could not even begin."""
    global _count, _failed
    _count += 1
    _failed += 1
    print(f"not ok - {name}")
    for line in str(why).splitlines()[-12:]:
        print(f"# {line}")
    sys.stdout.flush()


def done():
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed else 0)


async def hanging(call_id, what):
    """Whether the hanging call has `entered` or `left` the stand-in; waits for it there."""

    def ask():
        with urllib.request.urlopen(f"{UPSTREAM}/hang/{call_id}/{what}", timeout=20) as reply:
            return json.load(reply)[what]

    return await asyncio.to_thread(ask)


def same(actual, expected):
    assert actual == expected, f"expected {expected!r}, got {actual!r}"


def holds(text, part):
    assert part in text, f"expected {part!r} in {text!r}"
