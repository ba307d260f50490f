#!/usr/bin/python3
"""A broker with keys: who is on the list gets in and does what its role may, and nobody else does.

Every program runs over tcp with CURVE. Secrets that `thresh keygen` made are looked for at the end in
all that was written, in the processes' arguments and environments, and in the store.
"""
import os
import pathlib
import signal
import stat
import time

import msgpack
import zmq

from harness import FAST, Kit, check, check_once, free_ports, read_results, say, wait_for

HELLO, WELCOME, REFUSED, HEARTBEAT, SUBMIT, CREDIT, TASKS, RESULTS = 1, 2, 3, 4, 10, 20, 21, 22
REQUEST = 40
UNREACHABLE, CONFIG, NOT_ALLOWED = 4, 3, 8
ROLES = ("feeder", "worker", "collector", "admin", "monitor")
EXAMPLE_SECRET = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"  # printed in zmq_curve(7)


class Keys:
    """Keys of a broker and of its peers in a directory, made by `thresh keygen`; the list of those let in."""

    def __init__(self, kit):
        self.kit = kit
        self.place = kit.directory / "keys"
        self.make("broker", "broker")
        for role in ROLES:
            self.make(role, role)
        self.allow(*ROLES)

    def make(self, role, name):
        process = self.kit.start("keygen", [self.kit.bin / "thresh", "keygen", "--role", role, "--name",
                                            name, f"{self.place}/"])
        process.expect_exit(0)
        mode = stat.S_IMODE(self.path(name).stat().st_mode)
        check(mode == 0o600, f"{name}.secret has mode {mode:o}")

    def path(self, name):
        return self.place / f"{name}.secret"

    def secret(self, name):
        return self.path(name).read_text().splitlines()[-1].split()[1]

    def public(self, name):
        return (self.place / f"{name}.public").read_text().split()[1]

    def allow(self, *names):
        lines = [(self.place / f"{name}.public").read_text() for name in names]
        (self.place / "authorized").write_text("# who may connect\n" + "".join(lines))

    def flags(self, name):
        return {"key": self.path(name), "broker_key": self.place / "broker.public"}


class Peer:
    """A peer that says what it likes, with a key or without."""

    def __init__(self, kit, keys, name, role):
        self.role = role
        self.client = os.urandom(16)
        self.socket = kit.zmq.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if name:
            self.socket.curve_serverkey = keys.public("broker").encode()
            self.socket.curve_publickey = keys.public(name).encode()
            self.socket.curve_secretkey = keys.secret(name).encode()
        self.socket.connect(kit.endpoints[role])

    def send(self, kind, fields=None, sequence=0, *frames):
        self.socket.send_multipart([msgpack.packb([1, kind, sequence, fields or {}]), *frames])

    def hello(self):
        self.send(HELLO, {"role": self.role, "client": self.client, "versions": [1], "running": []})

    def wait(self, kinds, seconds=20):
        """The next message of one of the kinds, as (kind, fields, frames)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.socket.poll(50):
                frames = self.socket.recv_multipart()
                _, kind, _, fields = msgpack.unpackb(frames[0])
                if kind in kinds:
                    return kind, fields, frames[1:]
        return None, {}, []

    def join(self):
        self.hello()
        kind, fields, _ = self.wait((WELCOME, REFUSED))
        check(kind == WELCOME, f"{self.role} is not welcomed: {fields}")

    def expect_refused(self, what, code="not_allowed"):
        kind, fields, _ = self.wait((REFUSED,))
        check(kind == REFUSED and fields["code"] == code, f"{what}: {kind} {fields}")


def command(kit, name, role, *words, **settings):
    flags = {f"broker-{role}": kit.endpoints[role], **settings}
    argv = [f"--{key.replace('_', '-')}={value}" for key, value in flags.items()]
    return kit.start(name, [kit.bin / "thresh", *words, *argv])


def documents(kit, count, first=0):
    path = kit.directory / f"items-{first}.jsonl"
    lines = [f'{{"url": "name:{i}", "body": "document {i}, with some words in it."}}\n'
             for i in range(first, first + count)]
    path.write_text("".join(lines))
    return path


def reload(broker, kit, line):
    """SIGHUP, and the line that says how it went."""
    before = broker.errors().count(line)
    broker.popen.send_signal(signal.SIGHUP)
    wait_for(lambda: broker.errors().count(line) > before, line)


# ---- the cases ----------------------------------------------------------------------------------

def test_everybody_with_a_key(kit, keys):
    worker = kit.worker(name="w", **keys.flags("worker"))
    kit.feeder(documents(kit, 40), **keys.flags("feeder")).expect_exit(0)
    output = kit.directory / "all.jsonl"
    kit.collector(output, "--until-done", **keys.flags("collector")).expect_exit(0)
    check(len(check_once(read_results(output))) == 40, "not all results came")
    for name in ("admin", "monitor"):
        command(kit, name, "control", "status", **keys.flags(name)).expect_exit(0)
    say("40 documents through a feeder, a worker and a collector with keys")
    return worker


def test_who_does_not_get_in(kit, keys, broker):
    keys.make("feeder", "stranger")
    words = {"timeout": "1s"}
    for name, settings in (("no-key", {}), ("unlisted", keys.flags("stranger")),
                           ("wrong-broker", {**keys.flags("feeder"), "broker_key": kit.lie})):
        process = command(kit, name, "control", "status", **words, **settings)
        process.expect_exit(UNREACHABLE)
        check("--key" in process.errors(), f"{name}: no word of keys: {process.errors()}")
    broker.wait_line("act=connect door=control key=")
    wait_for(lambda: "answer=unknown_key" in broker.errors(), "the refusal in the log")
    silent = Peer(kit, keys, None, "feed")
    silent.hello()
    check(silent.wait((WELCOME, REFUSED), 1)[0] is None, "somebody without a key was answered")
    say("nobody without a key, with one off the list, or who knows another broker gets in")


def test_listed_later(kit, keys, broker):
    """A worker that is there before its key is on the list gets in when it is."""
    keys.make("worker", "late")
    late = kit.worker(name="late", **keys.flags("late"))
    wait_for(lambda: f"door=work key={keys.public('late')}" in broker.errors().replace('"', ""),
             "the late worker to be put off")
    keys.allow(*ROLES, "late")
    reload(broker, kit, "act=reload_keys")
    late.wait_line("event=broker_joined")
    late.expect_stop()
    say("a key that is listed later gets in without a restart")


def test_wrong_roles(kit, keys, broker):
    feeder = kit.feeder(documents(kit, 1, 900), **keys.flags("worker"))
    feeder.expect_exit(NOT_ALLOWED)
    check("no business at this port" in feeder.errors(), feeder.errors())
    pause = command(kit, "pause", "control", "pause", **keys.flags("monitor"))
    pause.expect_exit(NOT_ALLOWED)
    for name in ("feeder", "worker", "collector"):
        command(kit, name, "control", "status", **keys.flags(name)).expect_exit(NOT_ALLOWED)
    worker = Peer(kit, keys, "worker", "work")
    worker.join()
    worker.send(SUBMIT, {}, 1, msgpack.packb([{"url": "http://127.0.0.1/"}]))
    worker.expect_refused("a worker that submits")
    worker.send(REQUEST, {"verb": "stop", "arguments": {}}, 2)
    worker.expect_refused("a worker that stops the broker")
    worker.send(HEARTBEAT)
    check(worker.wait((5,))[0] == 5, "a worker that was refused one thing may not do its own")
    monitor = Peer(kit, keys, "monitor", "control")
    monitor.join()
    monitor.send(REQUEST, {"verb": "drain", "arguments": {}}, 3)
    monitor.expect_refused("a monitor that drains the broker")
    command(kit, "pause", "control", "pause", **keys.flags("admin")).expect_exit(0)
    command(kit, "resume", "control", "resume", **keys.flags("admin")).expect_exit(0)
    for act in ("act=pause", "act=resume"):
        check(act in broker.errors(), f"no {act} in the log")
    for refusal in ("act=SUBMIT door=work", "verb=stop answer=wrong_type", "verb=drain answer=wrong_verb",
                    "role=collector answer=wrong_door"):
        check(refusal in broker.errors(), f"not in the log: {refusal}")
    say("wrong roles are refused, and what an admin does is in the log")


def test_revoked(kit, keys, broker):
    """A worker with a lease loses its key: its results are refused, its task goes to another at once."""
    keys.make("worker", "revoked")
    keys.allow(*ROLES, "revoked")
    reload(broker, kit, "act=reload_keys")
    kit.honest.expect_stop()
    gone = Peer(kit, keys, "revoked", "work")
    gone.join()
    gone.send(CREDIT, {"credit": 4})
    feeder = kit.feeder(documents(kit, 4, 1000), **keys.flags("feeder"))
    held = []
    while len(held) < 4:
        kind, _, frames = gone.wait((TASKS,))
        check(kind == TASKS, "no tasks for the worker")
        held += msgpack.unpackb(frames[0])
    feeder.expect_exit(0)
    keys.allow(*ROLES)
    reload(broker, kit, "act=reload_keys")
    kit.honest = kit.worker(name="w2", **keys.flags("worker"))
    report = {"fence": held[0]["fence"], "task": held[0]["task"], "outcome": "ok", "result": 0}
    forged = msgpack.packb({"version": 1, "task": held[0]["task"], "text": "forged"})
    gone.send(RESULTS, {}, 1, msgpack.packb([report]), forged)
    gone.expect_refused("results under a revoked key")
    gone.hello()
    gone.expect_refused("HELLO under a revoked key")
    output = kit.directory / "all.jsonl"
    kit.collector(output, "--until-done", **keys.flags("collector")).expect_exit(0)
    results = read_results(output)
    check(len(check_once(results)) == 44, f"{len(results)} of 44 results")
    check(all(one.get("text") != "forged" for one in results), "a revoked worker's result was taken")
    again = Peer(kit, keys, "revoked", "work")
    again.hello()
    check(again.wait((WELCOME, REFUSED), 1)[0] is None, "a revoked key connects again")
    say("a revoked worker is refused, and its four tasks are done by another")


def test_bad_list(kit, keys, broker):
    good = (keys.place / "authorized").read_text()
    (keys.place / "authorized").write_text(good + "worker nonsense here\n")
    reload(broker, kit, "failed_old_list_stays")
    check("authorized, line" in broker.errors(), "the line is not named")
    command(kit, "status", "control", "status", **keys.flags("monitor")).expect_exit(0)
    (keys.place / "authorized").write_text(good)
    reload(broker, kit, "answer=done")
    say("a bad list changes nothing")


def test_bad_files(kit, keys):
    keys.path("feeder").chmod(0o644)
    process = kit.feeder(documents(kit, 1, 901), **keys.flags("feeder"))
    process.expect_exit(NOT_ALLOWED)
    check("chmod 600" in process.errors(), process.errors())
    keys.path("feeder").chmod(0o600)
    half = command(kit, "status", "control", "status", key=keys.path("admin"))
    half.expect_exit(CONFIG)
    example = kit.directory / "example.secret"
    example.write_text(f"secret {EXAMPLE_SECRET}\n")
    example.chmod(0o600)
    process = command(kit, "status", "control", "status", key=example,
                      broker_key=keys.place / "broker.public")
    process.expect_exit(NOT_ALLOWED)
    check("zmq_curve(7)" in process.errors(), process.errors())
    process = kit.worker(key=keys.path("worker"), broker_key=keys.place / "admin.public")
    process.expect_exit(CONFIG)
    loose = kit.directory / "loose"
    loose.mkdir()
    for name in ("broker.secret", "authorized"):
        (loose / name).write_bytes((keys.place / name).read_bytes())
        (loose / name).chmod(0o600)
    (loose / "authorized").chmod(0o666)
    for bad in (loose, kit.directory / "nowhere", keys.path("broker")):
        process = kit.broker(is_awaited=False, store=kit.directory / "other", keys=bad)
        check(process.exit_code() in (CONFIG, NOT_ALLOWED), f"keys {bad}: {process.exit_code()}")
    say("files that others may read or write, and the known example key, are refused")


def test_open_binds(kit, keys):
    port = free_ports(1)[0]
    settings = {"store": kit.directory / "open", "listen_work": f"tcp://0.0.0.0:{port}"}
    for role in ("feed", "collect", "control"):
        settings[f"listen_{role}"] = f"ipc://{kit.directory}/open-{role}"
    refused = kit.broker(is_awaited=False, **settings)
    refused.expect_exit(NOT_ALLOWED)
    check("keygen" in refused.errors(), refused.errors())
    for _ in range(2):
        insecure = kit.broker(insecure="true", **settings)
        check("event=insecure" in insecure.errors(), "insecure is not said at the start")
        insecure.expect_stop()
    kit.broker(keys=keys.place, **settings).expect_stop()
    say("beyond loopback: refused, said when insecure, and quiet with keys")


def look_for_secrets(kit, keys):
    secrets = [keys.secret(path.stem).encode() for path in keys.place.glob("*.secret")]
    check(len(secrets) >= 9, f"{len(secrets)} secrets to look for")
    looked = 0
    for process in kit.processes:
        for part in ("cmdline", "environ"):
            try:
                text = pathlib.Path(f"/proc/{process.pid}/{part}").read_bytes()
            except OSError:
                continue  # it has ended
            check(not any(secret in text for secret in secrets), f"a secret in {part} of {process.name}")
        command_line = " ".join(process.argv).encode()
        check(not any(secret in command_line for secret in secrets), f"a secret in {process.name}'s arguments")
    for path in kit.directory.rglob("*"):
        if not path.is_file() or path.suffix == ".secret" or path.parent.name == "loose":
            continue
        text = path.read_bytes()
        check(not any(secret in text for secret in secrets), f"a secret in {path.name}")
        looked += 1
    say(f"no secret in {looked} files, nor in any process's arguments and environment")


def main():
    with Kit(is_tcp=True) as kit:
        kit.zmq = zmq.Context()
        kit.zmq.set(zmq.BLOCKY, False)
        keys = Keys(kit)
        kit.lie = kit.directory / "other-broker.public"
        keys.make("broker", "impostor")
        kit.lie.write_text((keys.place / "impostor.public").read_text())
        # Leases that no test outlives: a revoked worker's tasks are free because it was let go.
        broker = kit.broker(keys=keys.place, **{**FAST, "lease": "600s"})
        kit.honest = test_everybody_with_a_key(kit, keys)
        test_who_does_not_get_in(kit, keys, broker)
        test_listed_later(kit, keys, broker)
        test_wrong_roles(kit, keys, broker)
        test_revoked(kit, keys, broker)
        test_bad_list(kit, keys, broker)
        test_bad_files(kit, keys)
        test_open_binds(kit, keys)
        look_for_secrets(kit, keys)
        kit.honest.expect_stop()
        broker.expect_stop()
        kit.zmq.destroy(linger=0)


if __name__ == "__main__":
    main()
