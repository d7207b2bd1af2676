"""nginx and HAProxy by their own checks: on a copy of what is rendered, and on what lies on the host.

Knows where their files are, not what is in them.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..files import File
from . import staging
from .outcome import Finding, Said, Skip, said
from .programs import last_line, program, run
from .subject import Subject

NGINX = "/etc/nginx/"
MAIN = "/etc/nginx/harden.conf"
STATE = "/var/lib/nginx"  # its folders for what it cannot keep in memory
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
MIME_TYPES = "types { text/html html; text/css css; text/plain txt; }\n"
# What nobody has to change. The `user` of its main file is for root's `nginx -t` alone, so that nginx as a service
# says it has no use for it. `listen ... http2` is deprecated from 1.25.1 on; 1.22 does not know what replaces it.
HARMLESS = r'the "user" directive |the "listen \.\.\. http2" directive is deprecated'
COMPLAINT = re.compile(rf"\[(?:warn|error|crit|alert|emerg)\] (?!(?:\d+#\d+: )?(?:{HARMLESS}))(?:\d+#\d+: )?(.*)")
OURS = "/etc/systemd/system/haproxy.service.d/harden.conf"
UNRESOLVED = "could not resolve address"
MEND = "it is rendered from harden.toml: change what it names there"


def nginx(subject: Subject) -> Said:
    """Find what nginx refuses, or warns of, in a copy of the rendered files."""
    files = [file for file in subject.files.get("app", ()) if file.path.startswith(NGINX)]
    if not files:
        raise Skip("nothing is rendered for nginx on this kind of host")
    binary = program("nginx", "nginx")
    folder = subject.scratch / "nginx"
    main = _stage_nginx(subject, folder, files)
    done = run([binary, "-t", "-q", "-c", str(main), "-e", "stderr"])
    return said(_complaints(done, str(folder)), _stands_in(subject) or f"{len(files)} files")


def installed_nginx(subject: Subject) -> Said:
    """Find what nginx refuses of all that lies on the host, with the rights that it has as a service."""
    if not subject.on_host(MAIN).exists() or str(subject.root) != "/":
        raise Skip(f"{MAIN} is not on this machine")
    if os.geteuid() != 0:
        raise Skip("root alone can become www-data; use sudo")
    binary, ids = program("nginx", "nginx"), _www_data()
    argv = [
        program("setpriv", "util-linux"), f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--init-groups",
        "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service", "--", binary,
        "-t", "-q", "-c", MAIN, "-e", "stderr",
    ]  # fmt: skip
    found = [*_complaints(run(argv), "", "see the file that it names"), *_given_away(subject, ids.pw_uid)]
    return said(found, "as www-data")


def haproxy(subject: Subject) -> Said:
    """Find what HAProxy refuses, or warns of, in a copy of the rendered file."""
    files = [file for file in subject.files.get("balancer", ()) if file.path == "/etc/haproxy/haproxy.cfg"]
    if not files:
        raise Skip("nothing is rendered for HAProxy on this kind of host")
    binary = program("haproxy", "haproxy")
    folder = subject.scratch / "haproxy"
    folder.mkdir()
    replaced = {"/run/haproxy/": f"{folder}/"}
    if _stands_in(subject):
        replaced[f"crt {subject.description.front.certificate} "] = f"crt {_both(folder)} "
    (config,) = staging.copy(folder, files, staging.replacing(replaced))
    done = run([binary, "-c", "-f", str(config)])
    lines = [line for line in done.stderr.splitlines() if "[WARNING]" in line or "[ALERT]" in line]
    if not subject.on_host(OURS).exists():  # elsewhere the app's hosts may have no names
        lines = [line for line in lines if UNRESOLVED not in line]
    found = [Finding(_told(line.partition(" : ")[2] or line, str(folder)), MEND) for line in lines[:5]]
    if done.returncode and not found:
        found = [Finding(last_line(done), MEND)]
    return said(found, _stands_in(subject))


def _stage_nginx(subject: Subject, folder: Path, files: list[File]) -> Path:
    front = subject.description.front
    for part in ("run/nginx", *(f"tmp/{name}" for name in TEMPORARY)):
        (folder / part).mkdir(parents=True)
    replaced = {NGINX: f"{folder}{NGINX}", "/run/nginx/": f"{folder}/run/nginx/"}
    if _stands_in(subject):
        made, key = staging.certificate(folder)
        replaced |= {front.certificate: str(made), front.certificate_key: str(key)}
    replace, (http, https) = staging.replacing(replaced), staging.free_ports(2)
    temporary = "".join(f" {name}_temp_path {folder}/tmp/{name};" for name in TEMPORARY)

    def edit(text: str) -> str:
        # nginx would give its own folders for bodies to somebody else while it looks: it gets some here.
        text = re.sub(r"^http \{$", f"http {{{temporary}", replace(text), flags=re.MULTILINE)
        for port, ours in ((80, http), (443, https)):
            text = re.sub(rf"listen {port}\b", f"listen 127.0.0.1:{ours}", text)
            text = re.sub(rf"listen \[::\]:{port}\b", f"listen [::1]:{ours}", text)
        return text if Path("/proc/net/if_inet6").exists() else re.sub(r"(?m)^ *listen \[.*\n", "", text)

    staging.copy(folder, files, edit)
    types = Path("/etc/nginx/mime.types")
    staging.place(folder, str(types)).write_text(types.read_text() if types.exists() else MIME_TYPES)
    return staging.place(folder, MAIN)


def _stands_in(subject: Subject) -> str:
    """Return what is said where a certificate of this check's own has to do; "" where it does not."""
    front = subject.description.front
    if not front.certificate:
        return ""
    paths = (front.certificate, front.certificate_key or front.certificate)
    is_here = all(os.access(subject.on_host(path), os.R_OK) for path in paths) and str(subject.root) == "/"
    return "" if is_here else "with another certificate: the real one cannot be read here"


def _given_away(subject: Subject, uid: int) -> Iterator[Finding]:
    """Find folders that nginx cannot write large requests and answers into."""
    state = subject.on_host(STATE)
    others = [path for path in sorted(state.glob("*")) if path.is_dir() and path.stat().st_uid != uid]
    if others:
        yield Finding(
            f"{len(others)} folders such as {others[0]} are not www-data's: large requests fail with 500; "
            "`nginx -t` as root does that",
            f"chown -R www-data: {state}",
        )


def _both(folder: Path) -> Path:
    made, key = staging.certificate(folder)
    both = folder / "both.pem"
    both.touch(mode=0o600)
    both.write_text(made.read_text() + key.read_text())
    return both


def _www_data() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("www-data")
    except KeyError:
        raise Skip("there is no account www-data, as which nginx runs (apt-get install nginx)") from None


def _complaints(
    done: subprocess.CompletedProcess[str], folder: str, mend: str = MEND
) -> Iterator[Finding]:
    lines = [_told(text, folder) for text in COMPLAINT.findall(done.stderr)]
    if done.returncode and not lines:
        lines = [_told(last_line(done), folder)]
    yield from (Finding(text, mend) for text in dict.fromkeys(lines[:5]))


def _told(text: str, folder: str) -> str:
    """Return a message with the host's paths in it again."""
    return (text.replace(folder, "") if folder else text).strip()
