"""Owner, group, mode and ACL of a file, and a new file that gets those of the one that it will replace."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ACL = "system.posix_acl_access"  # the extended attribute in which Linux keeps it


@dataclass(frozen=True)
class Access:
    """Who may use a file."""

    owner: int
    group: int
    mode: int
    acl: bytes  # empty = none

    def lost(self, after: Access | None) -> str:
        """What differs in the file's successor, in words; empty where nothing does."""
        if after is None:
            return ""
        changed = []
        if self.owner != after.owner:
            changed.append(f"owner {user_name(self.owner)} (now {user_name(after.owner)})")
        if self.group != after.group:
            changed.append(f"group {group_name(self.group)} (now {group_name(after.group)})")
        if self.mode != after.mode:
            changed.append(f"mode {self.mode:o} (now {after.mode:o})")
        if self.acl != after.acl:
            changed.append("its ACL")
        return ", ".join(changed)


def access(path: Path) -> Access | None:
    """Who may use a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Access(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), _acl(path))


def user_name(number: int) -> str:
    """A user's name, or `user 1234` where the system knows none."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"user {number}"


def group_name(number: int) -> str:
    """A group's name, or `group 1234` where the system knows none."""
    try:
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return f"group {number}"


def created_like(target: Path, fresh: Path) -> IO[bytes]:
    """The new file `fresh`, open, with the access rights of `target` if that is there. OSError where it cannot be made."""
    old = access(target)
    if old is None:
        return fresh.open("xb")
    # Nobody else may open it before it has its rights.
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if hasattr(os, "fchown"):
        try:
            os.fchown(handle, old.owner, old.group)
        except OSError:
            with suppress(OSError):
                os.fchown(handle, -1, old.group)
    mode = old.mode
    try:
        if old.acl:
            os.setxattr(handle, ACL, old.acl)
        elif _acl(handle):  # which the folder gives to new files
            os.removexattr(handle, ACL)
    except OSError:
        mode &= ~stat.S_IRWXG  # these bits were the most that the list gave to anybody
    with suppress(OSError):
        fresh.chmod(mode)  # after the owner, whose change resets some bits
    return os.fdopen(handle, "wb")


def _acl(path: Path | int) -> bytes:
    """A file's access control list as the system stores it; empty where there is none, or none can be."""
    try:
        return os.getxattr(path, ACL) if hasattr(os, "getxattr") else b""
    except OSError:
        return b""
