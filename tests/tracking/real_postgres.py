"""A PostgreSQL of our own on 127.0.0.1 that can be stopped and started again."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.tracking.real_server import free_port

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_FOUND = shutil.which("initdb", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, _PLACES)]))
BINARIES = Path(_FOUND).resolve().parent if _FOUND else None
USER, PASSWORD = "ann", "s3cret"


@dataclass
class RealPostgres:
    """A database cluster in a folder; see `make`."""

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> "RealPostgres":
        """A new one, not started; root hands it to another user, as PostgreSQL refuses to run as root."""
        made = cls(folder, free_port())
        if os.geteuid() == 0:
            for part in (folder, *folder.parents):
                if part.stat().st_uid == 0 and part.stat().st_mode & 0o001 == 0:
                    part.chmod(part.stat().st_mode | 0o011)
            shutil.chown(folder, _other_user())
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ("--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}", "--no-sync")
        made._run("initdb", *options, "--no-instructions", "--locale=C", "--encoding=UTF8")
        return made

    @property
    def uri(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c fsync=off -k {self.folder}"
        self._run("pg_ctl", "--wait", f"--log={self.folder / 'log'}", "-o", options, "start")

    def stop(self) -> None:
        """Returns when it has ended, without having finished what was under way."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        assert BINARIES is not None
        other = ("runuser", "-u", _other_user(), "--") if os.geteuid() == 0 else ()
        command = [*other, str(BINARIES / name), f"--pgdata={self.folder / 'data'}", *arguments]
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=True, stdout=quiet, stderr=quiet, cwd=self.folder, timeout=60)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
