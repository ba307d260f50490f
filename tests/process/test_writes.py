#!/usr/bin/python3
"""The broker killed at every write and flush of its store (F1, F2), by strace.

A small workload (documents submitted, done and collected, over clients that live on) runs against a
broker that is killed as it enters the Nth call of one kind, for N = 1, 2, ... until it survives.
Started again, it must have everything it had acknowledged, and the same clients bring the workload
to its end. Likewise at start: on no store yet, and on one with tasks in it.
"""
import shutil
import subprocess

from harness import (Kit, check, check_ledger, client, say, skip, wait_for)

CALLS = ("pwrite64", "writev", "fdatasync")  # LMDB's; a commit is one or more of each
START_CALLS = ("pwrite64", "writev", "fdatasync", "fsync", "ftruncate")
SUBMITS = 2
ITEMS = 3  # in a submit
SETTINGS = {"gap": "0", "heartbeat": "100ms", "lease": "2s", "takeover": "300ms",
            "backoff": "50ms", "backoff_max": "200ms", "attempts_max": 100}
KILLS_MAX = 200  # more writes than that are not a small workload


class Workload:
    """Feeder, worker and collector in this process; advance() never waits for long."""

    def __init__(self, kit):
        self.feeder = client.Peer(kit.endpoints["feed"], "feed")
        self.worker = client.Peer(kit.endpoints["work"], "work", (client.CREDIT, {"credit": 2}))
        self.collector = client.Peer(kit.endpoints["collect"], "collect",
                                     (client.SUBSCRIBE, {"name": "all", "credit": 2}))
        for peer in (self.feeder, self.worker, self.collector):
            peer.welcome = {"heartbeat_ms": 50}
        self.acknowledged = set()
        self.submitted = 0
        self.got = {}
        self.copies = 0
        self.position = 0

    def names(self, submit):
        return [f"name:{submit}-{i}" for i in range(ITEMS)]

    def feed(self):
        peer = self.feeder
        if peer.heard > 0 and not peer.unanswered and self.submitted < SUBMITS:
            self.submitted += 1
            table = [{"url": name, "body": i} for i, name in enumerate(self.names(self.submitted))]
            peer.send_numbered(client.SUBMIT, {"confirmed": peer.sequence}, table,
                               [name.encode() for name in self.names(self.submitted)])
        kind, sequence, fields, _, _ = peer.receive(0.005)
        if kind == client.SUBMITTED and len(self.acknowledged) < sequence * ITEMS:
            check(not set(fields["statuses"]) - {0, 1}, f"{fields}")
            self.acknowledged |= set(self.names(sequence))

    def keep(self, results):
        self.copies += len(self.got.keys() & results.keys())
        self.got.update(results)

    def advance(self):
        self.feed()
        client.work(self.worker, timeout=0.005)
        client.collect(self.collector, self.keep, 0.005)

    def is_done(self):
        return (len(self.acknowledged) == SUBMITS * ITEMS and
                {result["url"] for result in self.got.values()} >= self.acknowledged and
                not self.worker.unanswered)

    def close(self):
        for peer in (self.feeder, self.worker, self.collector):
            peer.socket.close()


def finish(kit, broker, workload, text):
    """Brings the workload to its end with a broker that nobody kills; then the books must agree."""
    wait_for(lambda: workload.advance() or workload.is_done(), f"the workload's end {text}")

    def is_settled():
        workload.advance()
        status = kit.status()
        return status["results"]["collectors"]["all"]["lag"] == 0 and status
    status = wait_for(is_settled, f"all to be acknowledged {text}")
    check_ledger(status)
    urls = [result["url"] for result in workload.got.values()]
    check(len(urls) == len(set(urls)) == status["tasks"]["accepted"] == status["tasks"]["done"],
          f"{text}: {status['tasks']}, {sorted(urls)}")
    broker.expect_stop()
    broker = kit.broker(**SETTINGS)
    check(kit.status()["tasks"] == status["tasks"], f"{text}: other books after one more restart")
    broker.kill()


def inject(call, number):
    return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:signal=SIGKILL:when={number}"]


def kill_at(kit, call, number):
    """One run. False when the broker survived: it makes fewer such calls."""
    text = f"after {call} {number}"
    shutil.rmtree(kit.directory / "store", ignore_errors=True)
    kit.processes.clear()
    kit.control = None
    broker = kit.broker(**SETTINGS)
    command = inject(call, number)
    command.remove("-qqq")  # it says when it is attached
    tracer = kit.start("strace", [*command, "-p", str(broker.pid)], is_ours=False)
    tracer.wait_line("attached")
    workload = Workload(kit)
    wait_for(lambda: workload.advance() or workload.is_done() or not broker.is_running(), text)
    # A write may come after the last answer: who lives when nobody looks on any more has survived.
    tracer.popen.terminate()
    tracer.exit_code()
    is_killed = not broker.is_running()
    if is_killed:
        check(broker.popen.returncode == -9, f"{text}: ended with {broker.popen.returncode}")
        acknowledged = set(workload.acknowledged)
        broker = kit.broker(**SETTINGS)
        status = kit.status()
        check_ledger(status)
        check(status["tasks"]["accepted"] >= len(acknowledged), f"{text}: {status['tasks']}")
    finish(kit, broker, workload, text)
    workload.close()
    return is_killed


def sweep(kit, call):
    number = 1
    while kill_at(kit, call, number):
        number += 1
        check(number < KILLS_MAX, f"{number} calls of {call}")
    say(f"killed at each of {number - 1} {call}")
    return number - 1


def start_and_feed(kit, call, number, document):
    """One start, killed as it enters that call. Returns (was it killed, was the document taken)."""
    broker = kit.broker(wrapper=inject(call, number), is_awaited=False, **SETTINGS)
    peer = client.Peer(kit.endpoints["feed"], "feed")
    peer.welcome = {"heartbeat_ms": 50}
    taken = []

    def is_over():
        if peer.heard > 0 and not peer.sequence:
            peer.send_numbered(client.SUBMIT, {}, [{"url": document, "body": 0}], [b"text"])
        if peer.receive(0.01)[0] == client.SUBMITTED:
            taken.append(document)
        return taken or not broker.is_running()
    wait_for(is_over, f"the start with {call} {number}")
    is_killed = not broker.is_running()
    broker.kill()
    peer.socket.close()
    return is_killed, len(taken)


def sweep_start(kit, call, is_fresh):
    """Killed while it starts, until it comes up; all that it has taken before is there then."""
    number, accepted = 0, 0
    is_killed = True
    while is_killed:
        number += 1
        check(number < KILLS_MAX, f"{number} calls of {call} at start")
        kit.processes.clear()
        kit.control = None
        if is_fresh:
            shutil.rmtree(kit.directory / "store", ignore_errors=True)
            accepted = 0
        document = f"name:{is_fresh} {call} {number}"
        is_killed, taken = start_and_feed(kit, call, number, document)
        broker = kit.broker(**SETTINGS)
        status = kit.status()
        check_ledger(status)
        check(status["tasks"]["accepted"] >= accepted + taken,
              f"{accepted} + {taken} taken before {call} {number}: {status['tasks']}")
        accepted = status["tasks"]["accepted"]
        broker.kill()
    return number - 1


def main():
    if not shutil.which("strace"):
        skip("no strace here")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode != 0:
        skip("strace may not trace here")
    with Kit() as kit:
        total = sum(sweep(kit, call) for call in CALLS)
        check(total >= 3 * len(CALLS), f"only {total} kills: are these the calls of the store?")
    with Kit() as kit:
        for is_fresh in (True, False):
            kills = {call: sweep_start(kit, call, is_fresh) for call in START_CALLS}
            say(f"killed while starting ({'no store yet' if is_fresh else 'a store with tasks'}): "
                + ", ".join(f"{count} {call}" for call, count in kills.items()))
            check(sum(kills.values()) > 0, "no kill at start")


if __name__ == "__main__":
    main()
