"""What a Wharf has left behind, as /proc and the file system show it.

Usage:
  leftovers.py browsers PID WARM    fails if, the pool of WARM browsers being full again, there is any other one
  leftovers.py record PID FILE      notes everything that belongs to the Wharf with this pid
  leftovers.py check FILE FOLDER    fails if anything noted is still there, or FOLDER is not empty
"""

import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Optional

# The last process of an ended session goes within ten seconds; the pool fills when sessions leave it the machine's cores.
SETTLED_WITHIN = 30
WARM_BROWSERS = "wharf_worker_warm_browsers"
MEMORY = Path("/dev/shm")


def stat(pid: int) -> Optional[list[str]]:
    """The fields of /proc/PID/stat after the name, from the state on; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def processes() -> dict[int, list[str]]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = {pid: stat(pid) for pid in pids}
    return {pid: fields for pid, fields in found.items() if fields and fields[0] != "Z"}


def descendants(ancestor: int) -> list[int]:
    """Wharf adopts orphans below it, so that whatever it started stays its descendant."""
    present, family, size = processes(), {ancestor}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, fields in present.items() if int(fields[1]) in family}
    return sorted(family - {ancestor})


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_browser(pid: int) -> bool:
    return re.search(r"chrom(e|ium)", command(pid).partition(" ")[0]) is not None


def folders(wharf: int) -> list[Path]:
    """Where this Wharf keeps profiles, in memory."""
    return [path for path in MEMORY.iterdir() if re.fullmatch(rf"wharf-{wharf}(\.\d+)?", path.name)]


def shared_memory(pid: int) -> set[str]:
    """The files in memory that a process has mapped, other than those that go with it."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return set()
    return set(re.findall(rf"({MEMORY}/\S+)$", maps, re.MULTILINE))


def fail_if_any(found: list[str]) -> None:
    for one in found:
        print(f"left behind: {one}", file=sys.stderr)
    if found:
        sys.exit(1)


def pooled() -> int:
    """How many browsers rest in the pool, by Wharf's own metrics."""
    with urllib.request.urlopen(os.environ["BROWSERBASE_BASE_URL"] + "/metrics", timeout=SETTLED_WITHIN) as answer:
        found = re.search(rf"^{WARM_BROWSERS} (\d+)", answer.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def is_main(pid: int) -> bool:
    """Whether this is a browser itself, not one of its helpers."""
    words = command(pid)
    return is_browser(pid) and "--user-data-dir=" in words and "--type=" not in words


def browsers(wharf: int, warm: int) -> list[str]:
    """What there is, unless that is a full pool and nothing else. A further browser is one that was left."""
    deadline = time.monotonic() + SETTLED_WITHIN
    while time.monotonic() < deadline:
        found, resting = [pid for pid in descendants(wharf) if is_main(pid)], pooled()
        profiles = [profile for folder in folders(wharf) for profile in folder.iterdir()]
        if resting == warm == len(found) and len(profiles) <= warm:
            return []
        time.sleep(0.05)
    named = [f"{pid} {command(pid)[:160]}" for pid in found]
    return [f"{len(found)} browsers with {resting} of {warm} in the pool", *named, *map(str, profiles)]


def record(wharf: int, file: Path) -> None:
    family = descendants(wharf)
    started = {pid: fields[19] for pid in family if (fields := stat(pid))}
    mapped = {path for pid in family for path in shared_memory(pid)}
    paths = [*mapped, *map(str, folders(wharf))]
    if not any(map(is_browser, family)) or not any("postgres" in command(pid) for pid in family) or not paths:
        sys.exit(f"a browser, Postgres and files in memory were expected below process {wharf}")
    file.write_text(json.dumps({"processes": started, "paths": paths}))


def check(file: Path, folder: Path) -> list[str]:
    noted, present = json.loads(file.read_text()), processes()
    # A pid may have been given to somebody else meanwhile; its start time tells.
    found = [
        f"{pid} {command(int(pid))[:160]}"
        for pid, started in noted["processes"].items()
        if int(pid) in present and present[int(pid)][19] == started
    ]
    found += [path for path in noted["paths"] if Path(path).exists()]
    return found + [str(path) for path in folder.iterdir()]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["browsers", pid, warm]:
            fail_if_any(browsers(int(pid), int(warm)))
        case ["record", pid, file]:
            record(int(pid), Path(file))
        case ["check", file, folder]:
            fail_if_any(check(Path(file), Path(folder)))
        case _:
            sys.exit(__doc__)
