"""Any peer of a broker, to be driven step by step: HELLO, heartbeats, numbered messages sent again.

tests/interop/client.py is the short example of the same; this one never waits longer than it is told
to, so that a test can go on while its broker is being killed.
"""
import os
import time

import msgpack
import zmq

HELLO, WELCOME, REFUSED, HEARTBEAT, RENEWED, SUBMIT, SUBMITTED, CREDIT = 1, 2, 3, 4, 5, 10, 11, 20
TASKS, RESULTS, RECORDED, STOP, SUBSCRIBE, DELIVER, ACKNOWLEDGE = 21, 22, 23, 26, 30, 31, 32


class Peer:
    """One connection: HELLO first, heartbeats, and numbered messages sent again until answered."""

    def __init__(self, endpoint, role, introduction=None, **hello):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.ROUTING_ID, b"p" + os.urandom(15))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        self.hello = {"role": role, "client": os.urandom(16), "versions": [1], **hello}
        self.introduction = introduction  # (type, fields), said after every WELCOME
        self.subscription, self.number = 0, 0  # a collector's, and of its last DELIVER
        self.welcome = {"heartbeat_ms": 1000}  # until the broker says more
        self.sequence, self.unanswered = 0, {}  # sequence -> frames
        self.running = {}  # a worker's leases: fence -> [task, sequence of its RESULTS]
        self.heard = self.beaten = self.answered = -1e9  # when

    def send(self, kind, fields=None, sequence=0, table=None, bodies=()):
        frames = [msgpack.packb([1, kind, sequence, fields or {}])]
        frames += [] if table is None else [msgpack.packb(table), *bodies]
        self.socket.send_multipart(frames)
        return frames

    def send_numbered(self, kind, fields=None, table=None, bodies=()):
        self.sequence += 1
        self.unanswered[self.sequence] = self.send(kind, fields, self.sequence, table, bodies)
        return self.sequence

    def beat(self):
        """What is due by the clock: HEARTBEAT, or HELLO to a broker that has been silent."""
        now, interval = time.monotonic(), self.welcome["heartbeat_ms"] / 1000
        if now - self.beaten >= interval and now - self.heard >= 3 * interval:
            running = [[fence, task] for fence, (task, _) in self.running.items()]
            self.send(HELLO, {**self.hello, "running": running})
            self.beaten = now
        elif now - self.beaten >= interval:
            self.send(HEARTBEAT, {"running": list(self.running)})
            self.beaten = now
            if now - self.answered >= 3 * interval:
                self.resend()

    def introduce(self):
        if self.introduction and self.introduction[0] == SUBSCRIBE:
            self.subscription, self.number = self.subscription + 1, 0
            self.send(*self.introduction, self.subscription)
        elif self.introduction:
            self.send(*self.introduction)

    def resend(self):
        self.answered = time.monotonic()
        for message in self.unanswered.values():
            self.socket.send_multipart(message)

    def receive(self, timeout):
        """The next message: (type, sequence, fields, table, bodies); type None when none came."""
        end = time.monotonic() + timeout
        while True:
            self.beat()
            left = min(end - time.monotonic(), self.welcome["heartbeat_ms"] / 1000)
            if not self.socket.poll(max(0, int(left * 1000))):
                if time.monotonic() >= end:
                    return None, 0, {}, [], []
                continue
            frames = self.socket.recv_multipart()
            _, kind, sequence, fields = msgpack.unpackb(frames[0], strict_map_key=False)
            if kind == REFUSED and fields["code"] == "hello_first":
                if self.heard > 0:  # the broker has restarted; the first such answer will do
                    self.heard = self.beaten = -1e9
                continue
            self.heard = time.monotonic()
            if kind == WELCOME:
                self.welcome = fields
                self.resend()
                self.introduce()
            for fence in fields.get("lost", []):
                self.running.pop(fence, None)
            if kind in (SUBMITTED, RECORDED):
                self.answered = self.heard
                self.unanswered.pop(sequence, None)
                self.running = {f: run for f, run in self.running.items() if run[1] != sequence}
            return (kind, sequence, fields, msgpack.unpackb(frames[1]) if frames[1:] else [],
                    frames[2:])


def feed(peer, items):
    """Submits items, each (map, document's bytes or None). Returns their statuses, none busy."""
    statuses = [3] * len(items)
    while not peer.heard > 0:
        peer.receive(1)
    while 3 in statuses:
        places = [i for i, status in enumerate(statuses) if status == 3]
        bodies = [items[i][1] for i in places if items[i][1] is not None]
        number = iter(range(len(bodies)))
        table = [items[i][0] if items[i][1] is None else {**items[i][0], "body": next(number)}
                 for i in places]
        sequence = peer.send_numbered(SUBMIT, {"confirmed": peer.sequence}, table, bodies)
        while sequence in peer.unanswered:
            fields = peer.receive(1)[2]
        for i, status in zip(places, fields["statuses"]):
            statuses[i] = status
        if 3 in statuses:
            time.sleep(fields["retry_ms"] / 1000)
    return statuses


def tiny_result(lease, body):
    """What a real worker makes by fetching and extracting lease["item"]["url"]."""
    result = {"version": 1, "task": lease["task"], "attempt": lease["attempt"], "outcome": "ok",
              "url": lease["item"]["url"], "worker": "client.py"}
    if "meta" in lease["item"]:
        result["meta"] = lease["item"]["meta"]
    return result if body is None else {**result, "text": body.decode("utf-8", "replace")}


def work(peer, make_result=tiny_result, timeout=1):
    """Does the tasks of one message, if one comes in time. False when told to stop."""
    kind, _, _, leases, bodies = peer.receive(timeout)
    leases = [lease for lease in leases if kind == TASKS and lease["fence"] not in peer.running]
    peer.running.update({lease["fence"]: [lease["task"], 0] for lease in leases})
    for lease in leases:
        result = make_result(lease, bodies[lease["body"]] if "body" in lease else None)
        report = {"fence": lease["fence"], "task": lease["task"], "outcome": result["outcome"],
                  "result": 0}
        sequence = peer.send_numbered(RESULTS, None, [report], [msgpack.packb(result)])
        peer.running[lease["fence"]][1] = sequence
    return kind != STOP


def collect(peer, keep, timeout=1):
    """Gives the results of one message to keep({task: result}), then acknowledges them."""
    kind, sequence, fields, rows, bodies = peer.receive(timeout)
    if kind not in (DELIVER, RENEWED) or fields["subscription"] != peer.subscription:
        return
    if kind == DELIVER and fields["number"] == peer.number + 1:
        peer.number += 1
        keep({task: msgpack.unpackb(body) for (_, task), body in zip(rows, bodies)})
        peer.send(ACKNOWLEDGE, None, sequence)
    elif fields["number"] > peer.number:
        peer.introduce()  # a message was lost with its connection
