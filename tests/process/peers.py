#!/usr/bin/python3
"""Feeder, worker and collector in Python, to be killed: each keeps on disk what a crash must not cost.

    peers.py feed ENDPOINT JOURNAL ITEMS      submits the JSON lines of ITEMS; JOURNAL gets the number
                                              of each item that the broker has acknowledged
    peers.py work ENDPOINT NAME PACE_MS       answers every task with a tiny result, one in PACE_MS
    peers.py collect ENDPOINT NAME OUTPUT     appends each result once to OUTPUT, as JSON lines
"""
import json
import os
import pathlib
import sys
import time

import peer as client

BATCH = 8
CREDIT = 32


class Journal:
    """A file of lines, each durable before append() returns; a torn last line is cut off."""

    def __init__(self, path):
        self.file = open(path, "ab+")
        self.file.seek(0)
        text = self.file.read()
        whole = text.rfind(b"\n") + 1
        self.file.truncate(whole)
        self.lines = text[:whole].splitlines()

    def append(self, lines):
        self.file.write(b"".join(line + b"\n" for line in lines))
        self.file.flush()
        os.fsync(self.file.fileno())


def feed(endpoint, journal_path, items_path):
    journal = Journal(journal_path)
    done = {int(line) for line in journal.lines}
    lines = pathlib.Path(items_path).read_bytes().splitlines()
    left = [number for number in range(len(lines)) if number not in done]
    peer = client.Peer(endpoint, "feed", name="peers.py")
    for start in range(0, len(left), BATCH):
        numbers = left[start:start + BATCH]
        items = [json.loads(lines[number]) for number in numbers]
        pairs = [({key: value for key, value in item.items() if key != "body"},
                  item["body"].encode() if "body" in item else None) for item in items]
        statuses = client.feed(peer, pairs)
        if 2 in statuses:
            sys.exit(f"refused as invalid: {items[statuses.index(2)]}")
        journal.append([b"%d" % number for number in numbers])


def work(endpoint, name, pace_ms):
    peer = client.Peer(endpoint, "work", (client.CREDIT, {"credit": CREDIT}), name=name)

    def slowly(lease, body):
        time.sleep(int(pace_ms) / 1000)  # the work itself, so that leases are held when it is killed
        return client.tiny_result(lease, body)

    while client.work(peer, slowly):
        pass


def collect(endpoint, name, output):
    journal = Journal(output)
    seen = {json.loads(line)["task"] for line in journal.lines}
    peer = client.Peer(endpoint, "collect", (client.SUBSCRIBE, {"name": name, "credit": 64}))

    def keep(results):
        journal.append([json.dumps(results[task], default=repr).encode()
                        for task in results.keys() - seen])
        seen.update(results)

    while True:
        client.collect(peer, keep)


if __name__ == "__main__":
    {"feed": feed, "work": work, "collect": collect}[sys.argv[1]](*sys.argv[2:])
