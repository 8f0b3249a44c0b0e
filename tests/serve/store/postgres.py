"""A PostgreSQL server of the tests' own: Debian's binaries, a new folder, a socket in it and no port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class ServerFault(Exception):
    """The server could not be made or started."""


def binaries():
    """Folder of Debian's newest binaries; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[4]))
    return found[-1].parent if found else None


class Server:
    """A server that ends with this process, even where this process is killed."""

    def __init__(self, folder_of_binaries):
        self._bin = folder_of_binaries
        self._folder = Path(tempfile.mkdtemp(prefix="selfj-pg-"))
        self._data = self._folder / "data"
        self._process = None
        self.url = f"postgresql://selfj@/postgres?host={self._folder}"
        # PostgreSQL refuses to run as root.
        self._as = []
        if not os.geteuid():
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            shutil.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def make(self):
        """Make the server's files and start it."""
        words = ["initdb", "-D", self._data, "-U", "selfj", "-A", "trust", "--encoding=UTF8", "--no-sync"]
        done = subprocess.run(self._words(*words), cwd=self._folder, capture_output=True, text=True)
        if done.returncode:
            raise ServerFault((done.stderr or done.stdout).strip()[-500:])
        self.start()

    def start(self):
        """Start it, and wait until it takes connections."""
        options = ["-k", self._folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            words = self._words("postgres", "-D", self._data, *options)
            self._process = subprocess.Popen(words, cwd=self._folder, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while subprocess.run(self._words("pg_isready", "-q", "-h", self._folder), cwd=self._folder).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise ServerFault((self._folder / "log").read_text(errors="replace")[-500:])
            time.sleep(0.05)

    def stop(self, number=signal.SIGINT):
        """End it: SIGINT after what is under way was rolled back, SIGQUIT as in a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def close(self):
        """End it and remove all its files."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _words(self, name, *more):
        return ["setpriv", *self._as, "--pdeathsig", "INT", str(self._bin / name), *map(str, more)]
