#!/usr/bin/python3
"""A feeder, a worker and a collector for Thresh, written from include/PROTOCOL.md alone.

    client.py feed tcp://127.0.0.1:5701 NAME=TEXT...  submits documents, prints a status for each
    client.py work tcp://127.0.0.1:5702               answers each task with a tiny result
    client.py collect tcp://127.0.0.1:5703 NAME       prints the results as JSON lines
"""
import json, os, sys, time
import msgpack, zmq

HELLO, WELCOME, REFUSED, HEARTBEAT, RENEWED, SUBMIT, SUBMITTED, CREDIT = 1, 2, 3, 4, 5, 10, 11, 20
TASKS, RESULTS, RECORDED, STOP, SUBSCRIBE, DELIVER, ACKNOWLEDGE = 21, 22, 23, 26, 30, 31, 32
socket = zmq.Context().socket(zmq.DEALER)
identity = {"role": sys.argv[1], "client": os.urandom(16), "versions": [1], "name": "client.py"}
unanswered = {}  # sequence -> frames, kept until the answer with that sequence has come
running = {}  # a worker's leases: fence -> [task, sequence of its RESULTS]


def send(kind, fields={}, sequence=0, table=None, bodies=()):
    frames = [msgpack.packb([1, kind, sequence, fields])]
    frames += [] if table is None else [msgpack.packb(table), *bodies]
    if kind in (SUBMIT, RESULTS):
        unanswered[sequence] = frames
    socket.send_multipart(frames)


def messages(introduce):
    """Every message, for ever. After each WELCOME calls introduce, and says again what is unanswered."""
    beat_s, silent, beaten = 1, 3, 0.0
    while True:
        if time.monotonic() - beaten >= beat_s:
            beaten, silent = time.monotonic(), silent + 1
            if silent > 3:  # at the start, and when the broker has not been heard for three beats
                send(HELLO, {**identity, "running": [[f, run[0]] for f, run in running.items()]})
            else:
                send(HEARTBEAT, {"running": list(running)})
        if not socket.poll(100):
            continue
        header, *frames = socket.recv_multipart()
        _, kind, sequence, fields = msgpack.unpackb(header)
        if kind == REFUSED and fields["code"] == "hello_first":  # the broker has restarted
            silent, beaten = (3, 0.0) if silent < 3 else (silent, beaten)
            continue
        silent = 0
        if kind == WELCOME:
            beat_s = fields["heartbeat_ms"] / 1000
            for message in unanswered.values():
                socket.send_multipart(message)
            introduce()
        unanswered.pop(sequence if kind in (SUBMITTED, RECORDED) else None, None)
        for fence in [f for f, run in running.items() if kind == RECORDED and run[1] == sequence]:
            del running[fence]
        for fence in fields.get("lost", []):
            running.pop(fence, None)
        yield kind, sequence, fields, msgpack.unpackb(frames[0]) if frames else [], frames[1:]


def feed(*documents):
    pairs = [document.split("=", 1) for document in documents]
    items = [{"url": name, "content_type": "text/plain", "body": i} for i, (name, _) in enumerate(pairs)]
    bodies = [text.encode() for _, text in pairs]
    for kind, _, fields, _, _ in messages(lambda: send(SUBMIT, {}, 1, items, bodies)):
        if kind == SUBMITTED:
            return print(*[("accepted", "known", "invalid", "busy")[s] for s in fields["statuses"]])


def work():
    count = 0
    for kind, _, _, leases, bodies in messages(lambda: send(CREDIT, {"credit": 16})):
        for lease in leases if kind == TASKS else []:
            if lease["fence"] in running:
                continue  # a copy
            item, count = lease["item"], count + 1
            text = bodies[lease["body"]].decode() if "body" in lease else "one would fetch " + item["url"]
            result = {"version": 1, "task": lease["task"], "url": item["url"], "outcome": "ok",
                      "attempt": lease["attempt"], "worker": "client.py", "text": text}
            report = {"fence": lease["fence"], "task": lease["task"], "outcome": "ok", "result": 0}
            running[lease["fence"]] = [lease["task"], count]
            send(RESULTS, {}, count, [report], [msgpack.packb(result)])
        if kind == STOP:
            return


def collect(name):
    seen = set()  # a real collector remembers over its restarts what it has
    subscription = number = 0  # number: of the last DELIVER under the subscription

    def subscribe():
        nonlocal subscription, number
        subscription, number = subscription + 1, 0
        send(SUBSCRIBE, {"name": name, "credit": 64}, subscription)

    for kind, position, fields, rows, bodies in messages(subscribe):
        if kind not in (DELIVER, RENEWED) or fields["subscription"] != subscription:
            continue
        if kind == DELIVER and fields["number"] == number + 1:
            number += 1
            for (_, task), body in zip(rows, bodies):
                if task not in seen:
                    print(json.dumps(msgpack.unpackb(body)), flush=True)
                seen.add(task)
            send(ACKNOWLEDGE, sequence=position)
        elif fields["number"] > number:
            subscribe()  # a message was lost with its connection


socket.setsockopt(zmq.ROUTING_ID, b"p" + os.urandom(15))
socket.connect(sys.argv[2])
{"feed": feed, "work": work, "collect": collect}[sys.argv[1]](*sys.argv[3:])
