"""How a store is started without root's rights, which PostgreSQL refuses and Valkey does not need."""

import os
import pwd
import shutil
import stat
import sys
from pathlib import Path

STORE_USER = "nobody"
# The last of them lets access(2), by which PostgreSQL looks for its own files, respect the capability.
THROUGH_CLOSED_FOLDERS = (
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
)


class PrivilegeError(Exception):
    """The stores cannot be started under another user; the message says what to do."""


def unprivileged(argv: tuple[str, ...], *, paths: tuple[Path, ...]) -> tuple[str, ...]:
    """``argv`` as it is, or when root, wrapped so that it runs as ``nobody``.

    ``paths`` are what the command must reach. Where a folder above them is closed to others (a clone under
    /root), the command keeps the one capability that lets it through, and no other.
    """
    if os.geteuid() != 0:
        return argv
    if shutil.which("setpriv") is None:
        message = "PostgreSQL does not run as root, and `setpriv` (util-linux) is missing."
        raise PrivilegeError(f"{message} Run this as an ordinary user, or set DATABASE_URL and REDIS_URL.")
    user = pwd.getpwnam(STORE_USER)
    caps = () if all(_open_to_others(path) for path in paths) else THROUGH_CLOSED_FOLDERS
    return (
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--no-new-privs",
        *caps,
        "--",
        *argv,
    )


def give_to_store_user(path: Path) -> None:
    """When root, make the store's user the owner of ``path`` and all below it."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(STORE_USER)
    for each in (path, *path.rglob("*")):
        os.chown(each, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _open_to_others(path: Path) -> bool:
    existing = path if path.exists() else path.parent
    needed = stat.S_IXOTH if sys.platform == "linux" else 0
    return all(folder.stat().st_mode & needed == needed for folder in existing.resolve().parents)
