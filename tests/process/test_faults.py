#!/usr/bin/python3
"""What is not there, in use, full or broken: one clear line, the right exit code, nothing lost."""
import json
import os
import shutil
import socket
import subprocess

from harness import (FAST, Kit, check, check_ledger, check_once, client, free_ports, read_results,
                     say, wait_for, ROLES)

USAGE, CONFIG, UNREACHABLE, STORE, MALFORMED, DISK_FULL = 2, 3, 4, 5, 6, 7  # exit codes of README
FAST = {name.replace("-", "_"): value for name, value in FAST.items()}
DISK_MIB = 24
BALLAST_MIB = 12  # deleted when space is to come back
DOCUMENT_BYTES = 100_000


def expect_complaint(process, code, *words):
    """The exit code, and one line for a person that has these words in it."""
    process.expect_exit(code)
    program = os.path.basename(process.argv[0]) + ":"
    # How far it came is another line's business.
    lines = [line for line in process.errors().splitlines() if line.startswith(program)
             and not line.startswith("thresh: fed ") and "results written" not in line]
    check(len(lines) == 1, f"{len(lines)} lines for a person: {process.errors()}")
    missing = [word for word in words if word not in lines[0]]
    check(not missing, f"no {missing} in: {lines[0]}")
    say(f"exit {code}: {lines[0]}")


# ---- endpoints and stores -----------------------------------------------------------------------

def test_port_in_use():
    with Kit(is_tcp=True) as kit:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", int(kit.endpoints["work"].rsplit(":", 1)[1])))
            taken.listen()
            expect_complaint(kit.broker(is_awaited=False), CONFIG, kit.endpoints["work"], "in use")
        kit.broker()
        expect_complaint(kit.broker(is_awaited=False, store=kit.directory / "other"), CONFIG,
                         kit.endpoints["feed"], "in use")
        kit.endpoints["feed"] = "tcp://0.0.0.0:5701"
        kit.broker(is_awaited=False, store=kit.directory / "open").expect_exit(8)


def test_store_in_use():
    with Kit() as kit:
        first = kit.broker()
        own = kit.endpoints
        kit.endpoints = {role: f"ipc://{kit.directory}/second-{role}" for role in ROLES}
        expect_complaint(kit.broker(is_awaited=False), STORE, str(kit.directory / "store"), "in use")
        kit.endpoints = own
        check(kit.status()["tasks"]["ledger_ok"], "the first broker was disturbed")
        first.kill()
        kit.broker()  # what kill -9 leaves behind locks nobody out
        strange = kit.directory / "a-file"
        strange.write_text("not a store")
        expect_complaint(kit.broker(is_awaited=False, store=strange), STORE, str(strange))
        check(strange.read_text() == "not a store", "a file was taken for a store")


def test_no_broker():
    with Kit(is_tcp=True) as kit:
        if not kit.has("thresh"):
            say("no thresh here: 'broker not there' is not tried")
            return
        expect_complaint(kit.feeder("http://127.0.0.1/", timeout="500ms"), UNREACHABLE,
                         kit.endpoints["feed"])
        expect_complaint(kit.collector(kit.directory / "out.jsonl", timeout="500ms"), UNREACHABLE,
                         kit.endpoints["collect"])
        expect_complaint(kit.start("status", [kit.bin / "thresh", "status", "--timeout=500ms",
                                              "--broker-control", kit.endpoints["control"]]),
                         UNREACHABLE, kit.endpoints["control"])
        for words in (["feed", "--no-such-flag"], ["no-such-verb"], ["collect", "--count=x"]):
            expect_complaint(kit.start("usage", [kit.bin / "thresh", *words]), USAGE, words[-1][:7])
        missing = kit.directory / "missing.html"
        kit.broker()
        process = kit.feeder(missing)
        expect_complaint(process, process.exit_code(), str(missing), "o such file")
        check(process.exit_code() in (USAGE, MALFORMED), "a missing file must not look like success")


# ---- disks --------------------------------------------------------------------------------------

def make_disk(kit):
    """A small file system: ext4 in a file, or tmpfs. Returns where it is, or None."""
    if os.geteuid() != 0:
        return None
    path = kit.directory / "disk"
    image = kit.directory / "image"
    path.mkdir()
    with open(image, "wb") as file:
        file.truncate(DISK_MIB << 20)
    tries = ([["/sbin/mkfs.ext4", "-q", "-m", "0", image], ["mount", "-o", "loop", image, path]],
             [["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", path]])
    for commands in tries:
        if all(shutil.which(command[0]) and
               subprocess.run(command, capture_output=True, check=False).returncode == 0
               for command in commands):
            kit.mounts.append(path)
            return path
    return None


def feed_until_dead(kit, broker):
    """Submits documents until the broker ends. Returns the names of those acknowledged."""
    feeder = client.Peer(kit.endpoints["feed"], "feed")
    acknowledged, names = set(), {}

    def is_over():
        if feeder.heard > 0 and len(feeder.unanswered) < 4:
            name = f"name:document {len(names)}"
            number = feeder.send_numbered(client.SUBMIT, {}, [{"url": name, "body": 0}],
                                          [name.encode() + b"." * DOCUMENT_BYTES])
            names[number] = name
        kind, sequence, fields, _, _ = feeder.receive(0.01)
        if kind == client.SUBMITTED and fields["statuses"] == [0]:
            acknowledged.add(names[sequence])
        return not broker.is_running()
    wait_for(is_over, "the disk to be full")
    feeder.socket.close()
    return acknowledged


def test_full_disk_of_collector():
    """The output's disk is full: the collector ends, and goes on where it was when there is space."""
    with Kit() as kit:
        disk = make_disk(kit) if kit.has("thresh") else None
        if not disk:
            say("NOT TRIED: a full disk of a collector needs root, mount and thresh")
            return
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (BALLAST_MIB << 20))
        kit.broker(**FAST)
        count = 140
        items = kit.directory / "items.jsonl"
        items.write_text("".join(json.dumps({"url": f"name:{i}", "body": f"{i} " + "words " * 20000})
                                 + "\n" for i in range(count)))
        kit.python("worker", "work", kit.endpoints["work"], "worker", "0")
        feeder = kit.python("feeder", "feed", kit.endpoints["feed"], kit.directory / "journal", items)
        output = disk / "results.jsonl"
        expect_complaint(kit.collector(output), DISK_FULL, "disk is full")
        written = len(read_results(output))
        check(0 < written < count, f"{written} results on the full disk")
        ballast.unlink()
        feeder.expect_exit(0)
        kit.collector(output, "--until-done").expect_exit(0)
        by_url = check_once(read_results(output))
        check(len(by_url) == count, f"{len(by_url)} of {count} results")
        say(f"full disk of a collector: {written} results, and {count} when space is back")


def test_full_disk():
    with Kit() as kit:
        disk = make_disk(kit)
        if not disk:
            say("NOT TRIED: a full disk needs root and mount")
            return
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (BALLAST_MIB << 20))
        store = disk / "store"
        broker = kit.broker(store=store, **FAST)
        acknowledged = feed_until_dead(kit, broker)
        expect_complaint(broker, DISK_FULL, "disk is full")
        check(acknowledged, "nothing was acknowledged before the disk was full")
        ballast.unlink()
        kit.broker(store=store, **FAST)
        status = kit.status()
        check_ledger(status)
        check(status["tasks"]["accepted"] >= len(acknowledged), f"{status['tasks']}")
        output = kit.directory / "results.jsonl"
        kit.python("worker", "work", kit.endpoints["work"], "worker", "0")
        kit.python("collector", "collect", kit.endpoints["collect"], "all", output)
        wait_for(lambda: len(read_results(output)) >= status["tasks"]["accepted"], "all results")
        lost = acknowledged - check_once(read_results(output)).keys()
        check(not lost, f"acknowledged and lost: {lost}")
        check_ledger(kit.wait_settled())
        say(f"full disk: {len(acknowledged)} acknowledged, all there when space is back")


def test_failing_flush():
    """EIO from the store's flush: no acknowledgement after it in that process (F5, I10)."""
    with Kit() as kit:
        if not shutil.which("strace"):
            say("NOT TRIED: a failing flush needs strace")
            return
        kit.environment["ASAN_OPTIONS"] = "detect_leaks=0"  # which cannot be done while traced
        broker = kit.broker(**FAST)
        tracer = kit.start("strace", ["strace", "-f", "-o", kit.directory / "calls", "-e",
                                      "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=9+",
                                      "-p", str(broker.pid)], is_ours=False)
        tracer.wait_line("attached")
        acknowledged = feed_until_dead(kit, broker)
        expect_complaint(broker, STORE, "store", "Input/output error")
        failed = (kit.directory / "calls").read_text().count("EIO")
        check(failed == 1, f"{failed} flushes were tried after the first one failed")
        kit.broker(**FAST)
        status = kit.status()
        check_ledger(status)
        check(status["tasks"]["accepted"] >= len(acknowledged), f"{status['tasks']}")
        say(f"failing flush: {len(acknowledged)} acknowledged before it, all there")


if __name__ == "__main__":
    test_port_in_use()
    test_store_in_use()
    test_no_broker()
    test_full_disk()
    test_full_disk_of_collector()
    test_failing_flush()
