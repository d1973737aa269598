"""Installs a Debian package where that is possible without asking anybody: on Debian or Ubuntu, as root."""

import os
import shutil
import subprocess
import sys

UPDATE_TIMEOUT_S = 120
INSTALL_TIMEOUT_S = 600


def apt_can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(package: str) -> bool:
    """Whether the package is installed now; apt's own words go to standard error when it is not."""
    print(f"Installing {package} with apt ...", file=sys.stderr)
    steps = (
        (("apt-get", "update", "-qq"), UPDATE_TIMEOUT_S),
        (("apt-get", "install", "-y", "-qq", "--no-install-recommends", package), INSTALL_TIMEOUT_S),
    )
    # An update that fails leaves the older lists, with which the installation may still succeed.
    return [ran_well(argv, timeout_s=timeout_s) for argv, timeout_s in steps][-1]


def ran_well(argv: tuple[str, ...], *, timeout_s: float) -> bool:
    """Run a command quietly; when it fails or hangs, show the end of what it said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # constants of this folder
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    if done.returncode != 0:
        print(done.stdout[-600:], file=sys.stderr)
    return done.returncode == 0
