"""The kit of the process tests: starts and stops Thresh's programs and a web server, and waits.

A test is a script with one `with Kit() as kit:` around what it does. Everything lives in one
temporary directory; at the end each process is killed with its group and the directory goes. Tests
wait for events (a log line, a status, an exit), each wait has a bound, and a failure prints what
the programs wrote last. Programs come from the directory in argv[1] or THRESH_BIN.
"""
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import peer as client

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
REQUEST, REPLY = 40, 41
WAIT_S = 60  # for anything that should happen at once; sanitized builds on busy machines are slow
POLL_S = 0.01
TAIL_LINES = 30
EXIT_SKIPPED = 77  # as CTest is told
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "WARNING: ThreadSanitizer")
WAITING_CALLS = ("7", "232", "271", "281")  # x86-64: poll, epoll_wait, ppoll, epoll_pwait
ROLES = ("feed", "work", "collect", "control")
# Leases and beats short enough for a test to see many of them end.
FAST = {"lease": "2s", "heartbeat": "200ms", "takeover": "1s", "gap": "0", "backoff": "50ms",
        "backoff-max": "500ms", "attempts-max": "100"}


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def say(text):
    print(text, flush=True)


def skip(text):
    say(f"skipped: {text}")
    sys.exit(EXIT_SKIPPED)


def wait_for(condition, what, seconds=WAIT_S):
    """Asks condition() until it says something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(POLL_S)


def bin_directory():
    path = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("THRESH_BIN", "")
    if not (pathlib.Path(path) / "thresh-broker").exists():
        sys.exit(f"no thresh-broker in {path or '(no directory given)'}: "
                 "name the build's bin directory, or set THRESH_BIN")
    return pathlib.Path(path).resolve()


def seeded_dice():
    """Random choices of this run; THRESH_SEED repeats an earlier one."""
    seed = int(os.environ.get("THRESH_SEED", random.SystemRandom().randrange(1 << 32)))
    say(f"seed {seed}: repeat with THRESH_SEED={seed}")
    return random.Random(seed)


def free_ports(count):
    """Ports of loopback that nobody has just now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def flags(settings):
    return [f"--{name}={value}" for name, value in settings.items()]


def die_with_the_test():
    """In the new process: a test that is killed, by CTest's time limit say, leaves nothing running."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One program that runs in a session of its own; its output goes to files."""

    def __init__(self, kit, name, argv, is_ours=True):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.is_ours = is_ours
        number = len(kit.processes)
        self.out = kit.directory / f"{number:03}-{name}.out"
        self.err = kit.directory / f"{number:03}-{name}.err"
        kit.processes.append(self)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=err, start_new_session=True, cwd=kit.directory,
                                          env=kit.environment, preexec_fn=die_with_the_test)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def errors(self):
        return self.err.read_text(errors="replace")

    def output(self):
        return self.out.read_text(errors="replace")

    def wait_line(self, text, seconds=WAIT_S):
        """Waits until the program has written text to standard error."""
        wait_for(lambda: text in self.errors() or not self.is_running(), f"{self.name}: {text}",
                 seconds)
        check(text in self.errors(), f"{self.name} ended with {self.popen.returncode} before: {text}")

    def wait_waiting(self, seconds=WAIT_S):
        """Waits until the program has come as far as to wait for others."""
        def is_waiting():
            try:
                call = pathlib.Path(f"/proc/{self.pid}/syscall").read_text().split()[0]
            except (OSError, IndexError):
                call = ""
            return call in WAITING_CALLS or not self.is_running()
        wait_for(is_waiting, f"{self.name} to wait for others", seconds)

    def signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """kill -9 of the program and of its children."""
        self.signal(signal.SIGKILL)
        self.popen.wait(WAIT_S)

    def exit_code(self, seconds=WAIT_S):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s") from None

    def expect_exit(self, code, seconds=WAIT_S):
        found = self.exit_code(seconds)
        check(found == code, f"{self.name} ended with {found}, not {code}")

    def stop(self, seconds=WAIT_S):
        """SIGTERM to the program alone, and its exit code."""
        self.popen.terminate()
        return self.exit_code(seconds)

    def expect_stop(self, codes=(0,)):
        """SIGTERM, and the exit of an orderly end."""
        found = self.stop()
        check(found in codes, f"{self.name} was asked to stop and ended with {found}")

    def tail(self):
        lines = (self.errors() + self.output()).splitlines()[-TAIL_LINES:]
        state = "running" if self.is_running() else f"ended with {self.popen.returncode}"
        command = " ".join(self.argv)[:200]
        return f"---- {self.name} ({state}): {command}\n" + "\n".join(line[:400] for line in lines)


class Kit:
    def __init__(self, is_tcp=False):
        self.bin = bin_directory()
        self.is_tcp = is_tcp
        self.processes = []
        self.mounts = []
        self.control = None
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("THRESH_")}

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="thresh-"))
        if self.is_tcp:
            ends = [f"tcp://127.0.0.1:{port}" for port in free_ports(len(ROLES))]
        else:
            ends = [f"ipc://{self.directory}/{role}" for role in ROLES]
        self.endpoints = dict(zip(ROLES, ends))
        return self

    def __exit__(self, kind, error, trace):
        try:
            for process in self.processes:
                process.kill()
            dirty = [process for process in self.processes if process.is_ours
                     and any(word in process.errors() for word in SANITIZER_WORDS)]
            if error and not isinstance(error, SystemExit):
                self.report([process for process in self.processes if process not in dirty])
            self.report(dirty)
        finally:
            for path in self.mounts:
                subprocess.run(["umount", "-l", path], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)
        if isinstance(error, Failure):
            say(f"FAILED: {error}")
            sys.exit(1)
        if dirty and not error:
            say("FAILED: a sanitizer complained")
            sys.exit(1)

    def report(self, processes):
        for process in processes[-12:]:
            say(process.tail())

    # ---- programs -----------------------------------------------------------------------------

    def start(self, name, argv, is_ours=True):
        return Process(self, name, argv, is_ours)

    def has(self, program):
        return (self.bin / program).exists()

    def broker(self, wrapper=(), is_awaited=True, **settings):
        """settings: as flags, with _ for -, such as gap="100ms"; store defaults to kit's own."""
        values = {"store": self.directory / "store"}
        values.update({f"listen-{role}": end for role, end in self.endpoints.items()})
        values.update({name.replace("_", "-"): value for name, value in settings.items()})
        process = self.start("broker", [*wrapper, self.bin / "thresh-broker", *flags(values)])
        if is_awaited:
            process.wait_line("event=started")
        return process

    def worker(self, **settings):
        values = {"broker-work": self.endpoints["work"], "children": 1, "transfers": 16}
        values.update({name.replace("_", "-"): value for name, value in settings.items()})
        return self.start("worker", [self.bin / "thresh-worker", "--allow-private", *flags(values)])

    def feeder(self, *inputs, **settings):
        values = {"broker-feed": self.endpoints["feed"], "timeout": f"{WAIT_S}s"}
        values.update({name.replace("_", "-"): value for name, value in settings.items()})
        return self.start("feeder", [self.bin / "thresh", "feed", *flags(values), *inputs])

    def collector(self, output, *more, **settings):
        values = {"broker-collect": self.endpoints["collect"], "timeout": f"{WAIT_S}s",
                  "output": output}
        values.update({name.replace("_", "-"): value for name, value in settings.items()})
        return self.start("collector", [self.bin / "thresh", "collect", *flags(values), *more])

    def python(self, name, *arguments):
        script = pathlib.Path(__file__).resolve().parent / "peers.py"
        return self.start(name, ["/usr/bin/python3", script, *arguments])

    # ---- questions ----------------------------------------------------------------------------

    def ask(self, verb, seconds=WAIT_S, **arguments):
        """A control request; asked again when the broker has restarted meanwhile."""
        if not self.control:
            self.control = client.Peer(self.endpoints["control"], "control")
            self.control.welcome = {"heartbeat_ms": 100}
        sequence = random.randrange(1, 1 << 40)
        end = time.monotonic() + seconds
        asked = 0.0
        while time.monotonic() < end:
            if time.monotonic() - asked > 1 and self.control.heard > 0:
                self.control.send(REQUEST, {"verb": verb, "arguments": arguments}, sequence)
                asked = time.monotonic()
            kind, number, fields, _, _ = self.control.receive(0.05)
            asked = 0.0 if kind == client.WELCOME else asked
            if kind == REPLY and number == sequence:
                return fields
        raise Failure(f"no answer to {verb} in {seconds} s")

    def status(self):
        return self.ask("status")

    def wait_settled(self, seconds=WAIT_S):
        """Until every task is done and every collector has acknowledged every result."""
        last = {}

        def is_settled():
            last.update(self.status())
            tasks = last["tasks"]
            lags = [one["lag"] for one in last["results"]["collectors"].values()]
            return (tasks["ready"] + tasks["delayed"] + tasks["leased"] == 0
                    and not any(lags)) and last
        try:
            return wait_for(is_settled, "all tasks to be done and collected", seconds)
        except Failure as failure:
            raise Failure(f"{failure}: {last.get('tasks')} {last.get('results')}") from None


# ---- results ------------------------------------------------------------------------------------

def read_results(path):
    """The whole lines of a JSON lines file; a torn last line is not one."""
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def check_once(results):
    """Each task has one line. Returns url -> result."""
    by_task, by_url = {}, {}
    for result in results:
        check(result["task"] not in by_task, f"twice in the output: {result['task']}")
        by_task[result["task"]] = by_url[result["url"]] = result
    return by_url


def check_ledger(status):
    tasks = status["tasks"]
    parts = ("ready", "delayed", "leased", "done", "dead", "cancelled")
    check(tasks["ledger_ok"] and tasks["accepted"] == sum(tasks[part] for part in parts),
          f"the ledger does not add up: {tasks}")
    check(tasks["set_aside"] == 0, f"rows of the store cannot be read: {tasks}")


# ---- pages and their server ---------------------------------------------------------------------

WORDS = ("the river of that valley was wide and slow in summer but when the rain came in autumn it "
         "would rise over its banks and carry the fences of the farms away so people had learned "
         "to build their houses on the hills and to keep a boat where others keep a cart").split()


def page(title, dice, paragraphs=4):
    text = "\n".join("<p>" + " ".join(dice.choices(WORDS, k=60)).capitalize() + ".</p>"
                     for _ in range(paragraphs))
    return (f"<!doctype html><html lang=en><head><title>{title}</title></head><body>"
            f"<article><h1>{title}</h1>\n{text}\n</article></body></html>\n").encode()


class Web:
    """nginx on one port of many loopback addresses; each has a folder of its own below root."""

    def __init__(self, kit, addresses):
        if not shutil.which("nginx", path="/usr/sbin:/usr/bin"):
            skip("no nginx here")
        self.kit = kit
        self.port = free_ports(1)[0]
        self.root = kit.directory / "www"
        self.log = kit.directory / "access.log"
        self.root.mkdir()
        listen = "\n".join(f"listen {address}:{self.port};" for address in addresses)
        config = kit.directory / "nginx.conf"
        config.write_text(f"""
daemon off; master_process off; pid {kit.directory}/nginx.pid; error_log stderr warn;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 4096; }}
http {{
  log_format stamps '$msec $request_time $server_addr $status $request_uri';
  access_log {self.log} stamps;
  types {{ text/html html; text/plain txt; }} charset utf-8; keepalive_requests 1000000;
  client_body_temp_path {kit.directory}/t1; proxy_temp_path {kit.directory}/t2;
  fastcgi_temp_path {kit.directory}/t3; uwsgi_temp_path {kit.directory}/t4;
  scgi_temp_path {kit.directory}/t5;
  server {{ {listen} root {self.root}/$server_addr; }}
}}
""")
        # Its stamps are the proof of politeness, and it takes them once for each turn of its loop:
        # with a priority like the programs it watches, a turn lasts up to 17 ms when they are busy.
        first = ["chrt", "-f", "10"]
        self.is_witness = subprocess.run([*first, "true"], capture_output=True,
                                         check=False).returncode == 0
        kit.start("nginx", [*(first if self.is_witness else []), "/usr/sbin/nginx", "-c", config],
                  is_ours=False)

        def is_up():
            with socket.socket() as probe:
                return probe.connect_ex((addresses[0], self.port)) == 0
        wait_for(is_up, "nginx to listen")

    def put(self, address, name, content):
        folder = self.root / address
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return f"http://{address}:{self.port}/{name}"

    def requests(self):
        """(start in seconds, address, status, path) of each request, in order of their start."""
        rows = []
        for line in self.log.read_text().splitlines():
            end, took, address, status, path = line.split(" ", 4)
            rows.append((float(end) - float(took), address, int(status), path))
        return sorted(rows)
