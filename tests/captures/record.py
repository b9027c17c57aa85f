"""Record the captures of this folder: real programs, real servers, real kernels.

    sudo python tests/captures/record.py OUTDIR

Every host is a Linux network namespace; a line is a veth pair; `igw` forwards, and translates the
elastic IP with nftables. Nothing leaves the namespaces, and all of them are removed at the end.

    customer 192.0.2.77 ────┐
    office-pc 203.0.113.25 ─┤            ①                    ②
    scanner 203.0.113.200 ──┤ internet ─── igw ───────────────── web-1 10.0.1.10
    resolver 203.0.113.53 ──┤         198.51.100.10 ⇄ 10.0.1.10
    packages 192.0.2.80 ────┘

    app-1 10.0.1.10 ──┐          ③
    batch 10.0.1.50 ──┤ router ───── db 10.0.9.10

    customer 2001:db8:ffff::77 ── internet ── igw ──④── web-1 2001:db8:a::10     (no translation)

① web-server.pcap  ② web-server-inside.pcapng  ③ app-and-sql-server.pcap  ④ ipv6.pcap

No security group is emulated here: whatever a program asks, the real network answers. One
conversation follows the other, so their order is the same at each recording; times, port numbers
chosen by the kernel, keys and the interleaving of acknowledgements are not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

# Program and the Debian package that has it.
PROGRAMS = {
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "dumpcap": "wireshark-common",
    "ethtool": "ethtool",
    "hostname": "hostname",
    "ip": "iproute2",
    "logger": "bsdutils",
    "nc": "netcat-openbsd",
    "nft": "nftables",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "ping": "iputils-ping",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "tcpdump": "tcpdump",
    "unshare": "util-linux",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOTAL_SECONDS = 120
COMMAND_SECONDS = 15
MOST_PACKETS = 1000
MOST_BYTES = 60_000
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)

# A program sees its own host name, names, accounts and /run, never those of the machine, so that
# none of them can get into a capture: $1 is the host's name, $2 the folder of made-up /etc files.
ENTER = """
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
for name in hosts resolv.conf nsswitch.conf shadow; do
    target=$(readlink -m "/etc/$name")
    case $target in /run/*) mkdir -p "${target%/*}"; : > "$target";; esac
    mount --bind "$2/$name" "$target"
done
shift 2
exec "$@"
"""
ETC = {
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "resolv.conf": "nameserver 203.0.113.53\noptions timeout:1 attempts:1\n",
    "nsswitch.conf": "passwd: files\nshadow: files\ngroup: files\nhosts: files dns\n",
    "shadow": "root:*:20000:0:99999:7:::\n",
}

ELASTIC_IP = """
table ip elastic {
    chain arriving {
        type nat hook prerouting priority dstnat;
        iifname "uplink" ip daddr 198.51.100.10 dnat to 10.0.1.10
    }
    chain leaving {
        type nat hook postrouting priority srcnat;
        oifname "uplink" ip saddr 10.0.1.10 snat to 198.51.100.10
    }
    chain passing {
        type filter hook forward priority filter;
        ct state invalid drop
    }
}
"""

NGINX = """
daemon off; user root; worker_processes 1; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/html; root {folder}/www;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
        ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;
    }}
}}
"""

# The first message of SQL Server's protocol and its answer (MS-TDS 2.2.6.5, PRELOGIN): version,
# encryption "not supported". Nobody logs in.
TDS_OPTIONS = "00 000b 0006 01 0011 0001 ff"
TDS_ASK = bytes.fromhex(f"12 01 001a 0000 0100 {TDS_OPTIONS} 00000000 0000 02")
TDS_ANSWER = bytes.fromhex(f"04 01 001a 0000 0100 {TDS_OPTIONS} 10001000 0000 02")
TDS_SERVER = f"""
import socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(4096):
            self.request.sendall({TDS_ANSWER!r})
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
Server(("10.0.9.10", 1433), Handler).serve_forever()
"""


class RecordError(Exception):
    """The recording cannot go on; one line says why."""


class Lab:
    """Hosts as network namespaces, the lines between them, and the programs running on them."""

    def __init__(self, folder: Path, ipv6: bool = False) -> None:
        self.folder = folder
        self.ipv6 = ipv6
        self.prefix = f"vpcemu-{os.getpid()}-"
        self.hosts: list[str] = []
        self.lines = 0
        self.programs: list[subprocess.Popen[str]] = []

    def inside(self, host: str, *command: str) -> list[str]:
        """The command line that runs `command` on `host`."""
        enter = ["unshare", "--uts", "--mount", "sh", "-ec", ENTER, "sh", host]
        namespace = self.prefix + host
        return ["ip", "netns", "exec", namespace, *enter, f"{self.folder}/etc", *command]

    def run(self, host: str, *command: str, status: int = 0, given: bytes = b"") -> None:
        """Run a program to its end; it has to end with `status`."""
        line = self.inside(host, *command)
        finish(line, self.environment(), f"{host}: {' '.join(command)}", status, given)

    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC"}

    def start(self, host: str, *command: str) -> subprocess.Popen[str]:
        """Start a program that runs until it is stopped; its words go to a file."""
        with (self.folder / f"{len(self.programs)}.log").open("w") as log:
            program = subprocess.Popen(
                self.inside(host, *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
                text=True,
            )
        self.programs.append(program)
        return program

    def serve(self, host: str, protocol: str, port: int, *command: str) -> None:
        """Start a server and wait until it listens."""
        server = self.start(host, *command)
        log = self.log(server)
        listing = ["ss", "-Hln", f"--{protocol}", f"sport = :{port}"]
        namespace = self.prefix + host

        def listens() -> bool:
            if server.poll() is not None:
                raise RecordError(f"{host}: {command[0]} ended at once: {last_line(log)}")
            return bool(ip("netns", "exec", namespace, *listing).strip())

        wait_until(listens, f"{host}: {command[0]} does not listen on {protocol}/{port}")

    def log(self, program: subprocess.Popen[str]) -> Path:
        return self.folder / f"{self.programs.index(program)}.log"

    def host(self, *names: str, forwards: bool = False) -> None:
        """Make hosts without lines."""
        for name in names:
            namespace = self.prefix + name
            self.hosts.append(name)
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
            settings = {
                "net.ipv6.conf.all.disable_ipv6": int(not self.ipv6),
                "net.ipv6.conf.default.disable_ipv6": int(not self.ipv6),
                "net.ipv6.conf.default.accept_ra": 0,
                "net.ipv6.conf.default.router_solicitations": 0,
                "net.ipv6.conf.default.accept_dad": 0,
                "net.ipv4.ip_forward": int(forwards),
                "net.ipv6.conf.all.forwarding": int(forwards),
            }
            for key, value in settings.items():
                path = Path("/proc/sys") / key.replace(".", "/")
                ip("netns", "exec", namespace, "sh", "-c", f"echo {value} > {path}")

    def line(self, left: str, left_name: str, right: str, right_name: str) -> None:
        """A veth pair: fixed, locally administered MACs, and checksums made by the sender."""
        self.lines += 1
        ends = {left: left_name, right: right_name}
        macs = [f"02:00:00:00:{self.lines:02x}:{end:02x}" for end in (1, 2)]
        one, two = self.prefix + left, self.prefix + right
        near = ["-n", one, "link", "add", left_name, "address", macs[0], "type", "veth"]
        ip(*near, "peer", "name", right_name, "address", macs[1], "netns", two)
        off = [word for what in ("rx", "tx", "tso", "gso", "gro") for word in (what, "off")]
        for host, name in ends.items():
            ip("netns", "exec", self.prefix + host, "ethtool", "-K", name, *off)
            ip("-n", self.prefix + host, "link", "set", name, "up")

    def attach(self, host: str, router: str, block: str, gateway: str) -> None:
        """A line from `host` (eth0) to a router, which has `gateway` as its address there."""
        port = f"to-{host}"
        self.line(router, port, host, "eth0")
        address = block.split("/")[0]
        near, far = self.prefix + host, self.prefix + router
        length = "64" if ":" in gateway else "32"
        ip("-n", far, "address", "add", f"{gateway}/{length}", "dev", port)
        ip("-n", far, "route", "add", address, "dev", port)
        ip("-n", near, "address", "add", block, "dev", "eth0")
        ip("-n", near, "route", "add", "default", "via", gateway, "dev", "eth0")

    def close(self) -> None:
        """Stop what runs, remove what was made; a signal waits until that is done."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for program in reversed(self.programs):
            stop(program)
        for name in self.hosts:
            namespace = self.prefix + name
            left = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in left.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def finish(line: list[str], env: dict[str, str], what: str, status: int = 0, given: bytes = b"") -> str:
    """The output of a command that has to end with `status` in good time."""
    limit = COMMAND_SECONDS
    try:
        done = subprocess.run(line, input=given, capture_output=True, env=env, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RecordError(f"{what}: no end after {limit} s") from None
    if done.returncode != status:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        words = said[-1] if said else "no words"
        raise RecordError(f"{what}: status {done.returncode}, expected {status}: {words}")
    return done.stdout.decode(errors="replace")


def ip(*words: str) -> str:
    return finish(["ip", *words], {"PATH": PATH}, f"ip {' '.join(words)}")


def stop(program: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> None:
    if program.poll() is None:
        program.send_signal(by)
        try:
            program.wait(timeout=5)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def wait_until(condition: Callable[[], bool], trouble: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise RecordError(trouble)
        time.sleep(0.05)


def last_line(log: Path) -> str:
    return (log.read_text().strip().splitlines() or ["no words"])[-1]


@contextmanager
def capturing(lab: Lab, host: str, device: str, path: Path) -> Iterator[None]:
    """Capture one end of one line, so that each packet is seen once."""
    if path.suffix == ".pcapng":
        limits = ["-c", str(MOST_PACKETS), "-a", f"duration:{TOTAL_SECONDS}"]
        program = lab.start(host, "dumpcap", "-q", "-i", device, "-w", str(path), *limits)
        ready = "File: "
    else:
        limits = ["-c", str(MOST_PACKETS), "--immediate-mode", "-U"]
        command = ["tcpdump", "-Z", "root", "-n", "-s", "0", "-i", device, "-w", str(path)]
        program = lab.start(host, *command, *limits)
        ready = "listening on"
    log = lab.log(program)
    wait_until(lambda: ready in log.read_text(), f"{host}: {path.name}: the capture did not start")
    yield
    time.sleep(1)
    if program.poll() is not None:
        raise RecordError(f"{path.name}: stopped early: {last_line(log)}")
    stop(program, signal.SIGINT)
    words = log.read_text()
    if not re.search(r"\b0 packets dropped by kernel|dropped on interface .*: \d+/0 ", words):
        raise RecordError(f"{path.name}: packets were lost: {last_line(log)}")


def without_machine(data: bytes) -> bytes:
    """A pcapng without the options in which dumpcap describes the machine it ran on.

    Section header block (0x0A0D0D0A): shb_hardware 2, shb_os 3. Interface description block (1):
    if_os 12. All other bytes stay.

    Source: draft-ietf-opsawg-pcapng, §3.5, §4.1, §4.2
    """
    blocks = []
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from("=II", data, offset)
        body = data[offset + 8 : offset + length - 4]
        offset += length
        if kind in (0x0A0D0D0A, 1):
            fixed, unwanted = (16, (2, 3)) if kind != 1 else (8, (12,))
            kept = [body[:fixed]]
            place = fixed
            while place < len(body):
                code, size = struct.unpack_from("=HH", body, place)
                end = place + 4 + (size + 3) // 4 * 4
                if code not in unwanted:
                    kept.append(body[place:end])
                place = end
            body = b"".join(kept)
        total = struct.pack("=I", len(body) + 12)
        blocks.append(struct.pack("=I", kind) + total + body + total)
    return b"".join(blocks)


def prepare(folder: Path) -> None:
    """Keys, certificate, pages and the /etc of the hosts; good for this recording only."""
    for name in ("etc", "www", "packages"):
        (folder / name).mkdir()
    for name, text in ETC.items():
        (folder / "etc" / name).write_text(text)
    (folder / "etc" / "shadow").chmod(0o600)
    page = "<!doctype html><title>shop</title><p>Hello from web-1.\n"
    (folder / "www" / "index.html").write_text(page)
    (folder / "packages" / "list.txt").write_text("nginx 1\nopenssh 2\n")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    env = {"PATH": PATH, "HOME": str(folder)}
    for name in ("host", "administrator", "stranger"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{folder}/{name}"]
        finish(key, env, "ssh-keygen")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "365"]
    files = ["-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.crt"]
    request = ["openssl", "req", "-x509", *curve, *files, "-subj", "/CN=shop.example"]
    finish(request, env, "openssl")


def nginx(folder: Path) -> list[str]:
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def sshd(folder: Path) -> list[str]:
    options = [
        f"HostKey={folder}/host",
        f"AuthorizedKeysFile={folder}/administrator.pub",
        "StrictModes=no",
        "UsePAM=no",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "PermitRootLogin=prohibit-password",
        "PidFile=none",
    ]
    chosen = [word for option in options for word in ("-o", option)]
    return [shutil.which("sshd", path=PATH) or "sshd", "-D", "-e", "-f", "/dev/null", *chosen]


def ssh(folder: Path, key: str, address: str) -> list[str]:
    options = [
        "BatchMode=yes",
        "ConnectTimeout=5",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
    ]
    chosen = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", "-i", f"{folder}/{key}", *chosen, f"root@{address}", "true"]


def curl(url: str) -> list[str]:
    return ["curl", "--silent", "--show-error", "--insecure", "--max-time", "5", url]


def ping(address: str, count: int = 3) -> list[str]:
    return ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", "2", address]


def dig(server: str, name: str) -> list[str]:
    return ["dig", "-r", "+tries=1", "+time=2", f"@{server}", name, "A"]


def http_server(folder: Path, address: str, port: int) -> list[str]:
    # -I and -u: nothing of the caller's Python settings, words at once.
    serve = [sys.executable, "-I", "-u", "-m", "http.server", str(port), "--bind", address]
    return [*serve, "--directory", str(folder)]


def gateway_and_internet(lab: Lab) -> None:
    """`internet` and `igw`, which forward, and the line between them."""
    lab.host("internet", "igw", forwards=True)
    lab.line("internet", "to-igw", "igw", "uplink")


def web_server(lab: Lab, out: Path) -> None:
    """The web-server topology over IPv4, seen outside and inside of the translation."""
    gateway_and_internet(lab)
    internet, igw = lab.prefix + "internet", lab.prefix + "igw"
    ip("-n", internet, "address", "add", "100.64.0.1/30", "dev", "to-igw")
    ip("-n", igw, "address", "add", "100.64.0.2/30", "dev", "uplink")
    ip("-n", internet, "route", "add", "198.51.100.10", "via", "100.64.0.2")
    ip("-n", igw, "route", "add", "default", "via", "100.64.0.1")
    lab.host("web-1", "customer", "office-pc", "scanner", "resolver", "packages")
    lab.attach("web-1", "igw", "10.0.1.10/24", "10.0.1.1")
    lab.attach("customer", "internet", "192.0.2.77/24", "192.0.2.1")
    lab.attach("packages", "internet", "192.0.2.80/24", "192.0.2.1")
    lab.attach("office-pc", "internet", "203.0.113.25/24", "203.0.113.1")
    lab.attach("scanner", "internet", "203.0.113.200/24", "203.0.113.1")
    lab.attach("resolver", "internet", "203.0.113.53/24", "203.0.113.1")
    lab.run("igw", "nft", "-f", "-", given=ELASTIC_IP.encode())

    lab.serve("web-1", "tcp", 443, *nginx(lab.folder))
    lab.serve("web-1", "tcp", 22, *sshd(lab.folder))
    names = ["--host-record=packages.example,192.0.2.80", "--local=/example/"]
    quiet = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]
    where = ["--user=root", "--pid-file=", "--listen-address=203.0.113.53", "--bind-interfaces"]
    lab.serve("resolver", "udp", 53, "dnsmasq", *quiet, *where, *names)
    lab.serve("packages", "tcp", 80, *http_server(lab.folder / "packages", "192.0.2.80", 80))

    web = "198.51.100.10"
    with (
        capturing(lab, "igw", "uplink", out / "web-server.pcap"),
        capturing(lab, "web-1", "eth0", out / "web-server-inside.pcapng"),
    ):
        lab.run("customer", *curl(f"http://{web}/"))
        lab.run("customer", *curl(f"https://{web}/"))
        lab.run("customer", *ping(web))
        lab.run("customer", *curl(f"http://{web}:8080/"), status=7)  # refused
        lab.run("customer", *ssh(lab.folder, "stranger", web), status=255)  # permission denied
        lab.run("office-pc", *ssh(lab.folder, "administrator", web))
        for port in (21, 22, 23, 80, 443, 3306, 3389):
            open_here = port in (22, 80, 443)
            lab.run("scanner", "nc", "-nz", "-w", "2", web, str(port), status=int(not open_here))
        lab.run("scanner", *dig(web, "shop.example"), status=9)  # port unreachable
        lab.run("web-1", *dig("203.0.113.53", "packages.example"))
        lab.run("web-1", *curl("http://packages.example/list.txt"))


def app_and_sql_server(lab: Lab, out: Path) -> None:
    """The app-and-sql-server topology, seen at the database."""
    lab.host("router", forwards=True)
    lab.host("app-1", "batch", "db")
    lab.attach("app-1", "router", "10.0.1.10/24", "10.0.1.1")
    lab.attach("batch", "router", "10.0.1.50/24", "10.0.1.1")
    lab.attach("db", "router", "10.0.9.10/24", "10.0.9.1")
    lab.serve("db", "tcp", 1433, sys.executable, "-I", "-c", TDS_SERVER)
    lab.serve("db", "tcp", 22, *sshd(lab.folder))
    lab.serve("app-1", "udp", 514, "nc", "-nudlk", "10.0.1.10", "514")
    lab.serve("app-1", "tcp", 8080, *http_server(lab.folder / "packages", "10.0.1.10", 8080))

    database = "10.0.9.10"
    ask = ["nc", "-nN", "-w", "2", database, "1433"]
    syslog = ["logger", "--udp", "--port", "514", "--tag", "mssql"]
    with capturing(lab, "db", "eth0", out / "app-and-sql-server.pcap"):
        lab.run("app-1", *ping(database))
        lab.run("app-1", *ask, given=TDS_ASK)
        lab.run("app-1", *ask, given=TDS_ASK)
        lab.run("batch", *ask, given=TDS_ASK)
        lab.run("batch", *ssh(lab.folder, "administrator", database))
        lab.run("batch", "nc", "-nz", "-w", "2", database, "5432", status=1)  # refused
        lab.run("batch", *ping(database, count=1))
        lab.run("db", *syslog, "--server", "10.0.1.10", "Backup of shop finished")
        lab.run("db", *syslog, "--server", "10.0.1.50", "Nobody listens here")  # unreachable
        lab.run("db", *curl("http://10.0.1.10:8080/list.txt"))


def ipv6(lab: Lab, out: Path) -> None:
    """The web server over IPv6, which no gateway translates, seen at its interface."""
    gateway_and_internet(lab)
    internet, igw = lab.prefix + "internet", lab.prefix + "igw"
    ip("-n", internet, "address", "add", "fe80::1/64", "dev", "to-igw")
    ip("-n", igw, "address", "add", "fe80::2/64", "dev", "uplink")
    ip("-n", internet, "route", "add", "2001:db8:a::/56", "via", "fe80::2", "dev", "to-igw")
    ip("-n", igw, "route", "add", "default", "via", "fe80::1", "dev", "uplink")
    lab.host("web-1", "customer")
    lab.attach("web-1", "igw", "2001:db8:a::10/64", "fe80::1")
    lab.attach("customer", "internet", "2001:db8:ffff::77/64", "fe80::1")
    lab.serve("web-1", "tcp", 443, *nginx(lab.folder))
    time.sleep(3)  # the multicast reports of new addresses

    web = "2001:db8:a::10"
    with capturing(lab, "web-1", "eth0", out / "ipv6.pcap"):
        lab.run("customer", *curl(f"http://[{web}]/"))
        lab.run("customer", *curl(f"https://[{web}]/"))
        lab.run("customer", *ping(web))
        lab.run("customer", *curl(f"http://[{web}]:8080/"), status=7)  # refused
        lab.run("customer", *dig(web, "shop.example"), status=9)  # port unreachable


def record(out: Path, folder: Path) -> None:
    """Record every capture into `out`, one network after the other."""
    prepare(folder)
    for recording in (web_server, app_and_sql_server, ipv6):
        print(f"recording {recording.__name__}", file=sys.stderr)
        lab = Lab(folder, ipv6=recording is ipv6)
        try:
            recording(lab, out)
        finally:
            lab.close()
    inside = out / "web-server-inside.pcapng"
    inside.write_bytes(without_machine(inside.read_bytes()))
    for path in out.iterdir():
        if path.stat().st_size > MOST_BYTES:
            raise RecordError(f"{path.name}: {path.stat().st_size} bytes, over {MOST_BYTES}")


def deliver(made: Path, outdir: Path) -> None:
    """Put the finished captures in place, each at once, with the owner of the folder."""
    owner = outdir.stat()
    for path in sorted(made.iterdir()):
        part = outdir / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.chmod(0o644)
        os.chown(part, owner.st_uid, owner.st_gid)
        part.replace(outdir / path.name)
        print(f"{path.name}: {path.stat().st_size} bytes")


def check(arguments: list[str]) -> Path:
    """The folder to write to; RecordError if the recording could not even begin."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise RecordError("one folder, please: sudo python tests/captures/record.py OUTDIR")
    outdir = Path(arguments[0])
    if not outdir.is_dir():
        raise RecordError(f"{outdir}: no such folder; make it first")
    if os.geteuid() != 0:
        raise RecordError("making network namespaces takes root: run it with sudo")
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
        raise RecordError(f"missing {', '.join(missing)}: apt-get install {packages}")
    return outdir


def on_signal(number: int, frame: FrameType | None) -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)  # let the cleaning finish
    raise RecordError(f"stopped by {signal.Signals(number).name}; nothing was written")


def main() -> int:
    try:
        outdir = check(sys.argv[1:])
        for one in SIGNALS:
            signal.signal(one, on_signal)
        signal.alarm(TOTAL_SECONDS)
        with tempfile.TemporaryDirectory(prefix="vpcemu-record-") as name:
            folder = Path(name)
            (folder / "made").mkdir()
            record(folder / "made", folder)
            signal.alarm(0)
            deliver(folder / "made", outdir)
    except RecordError as error:
        print(f"record.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
