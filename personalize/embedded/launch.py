"""Turn into another program that cannot outlive the one that asked for it. Run by path: `python -IS launch.py …`.

    launch.py SIGNAL PARENT_PID UID GID PROGRAM ARGUMENT…

Drops to UID and GID (-1: stays), asks the kernel for SIGNAL at the parent's death, then execs PROGRAM. A small program
of its own because the order matters: the kernel forgets the wish when the user changes, and a function run between
fork and exec inside the supervisor could deadlock. The interpreter may lie where UID cannot reach: it is loaded before.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    signal_number, parent, uid, gid = (int(word) for word in arguments[:4])
    program = arguments[4:]
    os.umask(0o077)
    libc = ctypes.CDLL(None)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # died before the wish was heard
            sys.exit(1)
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
