"""A disk that takes little at a time, late, and is interrupted meanwhile."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
SPAN = "2017-11-01..2017-12-31"
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long calls, synced;

static void
nap(long us)
{
    struct timespec t = { 0, us * 1000 };

    (void)nanosleep(&t, NULL);
}

static int
is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *,
        size_t))dlsym(RTLD_NEXT, "write");

    if (!is_file(fd))
        return real(fd, p, n);
    nap(100);
    if (++calls % 5 == 0) {
        errno = EINTR;
        return -1;
    }
    return real(fd, p, n > 8191 ? 8191 : n);
}

int
fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    synced++;
    nap(20000);
    return real(fd);
}

__attribute__((destructor)) static void
tell(void)
{
    if (getenv("SHIM_TELLS"))
        fprintf(stderr, "shim: %lu writes, %lu syncs\n", calls, synced);
}
"""


def run(*argv, status=0, **env):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       env=dict(os.environ, NOROSHI_NOW="2018-01-05", **env),
                       stdin=subprocess.DEVNULL)
    assert r.returncode == status, (argv, r.returncode, r.stdout[-2000:],
                                    r.stderr[-2000:])
    return r


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """The environment of a slow disk."""
    d = tmp_path_factory.mktemp("shim")
    (d / "slow.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", d / "slow.so",
                    d / "slow.c", "-ldl"], check=True)
    env = {"LD_PRELOAD": str(d / "slow.so"), "SHIM_TELLS": "1"}
    nm = subprocess.run(["nm", "-D", NOROSHI], capture_output=True, text=True)
    if "__asan_init" in nm.stdout:
        pytest.skip("a sanitizer wants to be loaded first")
    return env


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    d = tmp_path_factory.mktemp("corpus")
    run(GEN, "indicators", "--n", 300, "--planted", 100, "--out",
        d / "ioc.tsv", "--plant-out", d / "plant.tsv", "--span", SPAN)
    run(GEN, "logs", "--out", d, "--bytes", "4M", "--indicators",
        d / "ioc.tsv", "--plant", d / "plant.tsv", "--span", SPAN)
    return d


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_nothing_lost_nothing_twice(corpus, slow, tmp_path, sealed):
    quick, home = tmp_path / "quick", tmp_path / "slow"
    logs = sorted((corpus / "logs").rglob("*.*"))
    if sealed:
        run(NOROSHI, "archive", "seal", "--home", home, **slow)
    for i in (0, 1, 2):
        run(NOROSHI, "archive", "add", "--home", quick, *logs[i::3])
        r = run(NOROSHI, "archive", "add", "--home", home, *logs[i::3], **slow)
        assert "shim: " in r.stderr and " 0 writes" not in r.stderr
    for home_, env in ((quick, {}), (home, slow)):
        run(NOROSHI, "archive", "compact", "--home", home_, "--least", 2, **env)
        r = run(NOROSHI, "archive", "add", "--home", home_, *logs, **env)
        assert " lines 0 " in r.stdout
    run(NOROSHI, "archive", "verify", "--home", home)
    a, b = (run(NOROSHI, "hunt", "--home", h, "-i", corpus / "ioc.tsv", "--all",
                status=1) for h in (quick, home))
    assert a.stdout == b.stdout and "seen" in a.stdout


def test_lists_and_state(corpus, slow, tmp_path):
    """A compiled list and the state of a watch are whole, too."""
    log = next((corpus / "logs").rglob("*.*"))
    out = []
    for name, env in (("quick", {}), ("slow", slow)):
        d = tmp_path / name
        run(NOROSHI, "init", "--home", d)
        run(NOROSHI, "import", "-o", d / "l.nrw", corpus / "ioc.tsv", **env)
        r = run(NOROSHI, "hunt", "--archive", tmp_path / "none", "-i",
                d / "l.nrw", status=2)
        assert "does not exist" in r.stderr
        first = subprocess.run(
            [NOROSHI, "watch", "-i", d / "l.nrw", "--state", d / "state",
             "--output-file", d / "hits", log], capture_output=True, text=True,
            env=dict(os.environ, NOROSHI_NOW="2018-01-05", **env))
        assert first.returncode in (0, 1), first.stderr
        out.append((d / "hits").read_text())
    assert out[0] == out[1]
