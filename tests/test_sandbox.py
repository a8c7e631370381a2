"""Confinement as a user meets it: the profiles are probed by sandbox_test
(C); here its self-test, the agent on a kernel without Landlock, and the words
that are said."""

import ctypes
import errno
import subprocess

import pytest

from agent_home import BUILD, ENV, NOROSHI, Home, wait_for
from fakehub import FakeHub

PROBES = BUILD / "src/sandbox/sandbox_test"
LANDLOCK_CREATE_RULESET = 444
ALLOW = 0x7fff0000
ERRNO_ENOSYS = 0x00050000 | errno.ENOSYS


def without_landlock():
    """As a kernel that was built without it answers."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    ctx = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ALLOW)))
    assert lib.seccomp_rule_add(ctx, ctypes.c_uint32(ERRNO_ENOSYS),
                                LANDLOCK_CREATE_RULESET, 0) == 0
    assert lib.seccomp_load(ctx) == 0


@pytest.fixture
def home(tmp_path):
    hub = FakeHub(tmp_path)
    h = Home(tmp_path / "home")
    h.run("join", hub.address())
    yield h
    h.stop()
    hub.stop()


def test_profiles():
    r = subprocess.run([PROBES], text=True, stdout=subprocess.PIPE)
    assert r.returncode == 0, r.stdout


def test_probes_miss_what_is_not_confined():
    r = subprocess.run([PROBES, "--self-test"], text=True,
                       stdout=subprocess.PIPE)
    assert r.returncode == 0, r.stdout


def test_probes_fail_without_landlock():
    r = subprocess.run([PROBES], text=True, stdout=subprocess.PIPE,
                       preexec_fn=without_landlock)
    assert r.returncode == 1
    assert "no Landlock" in r.stdout


def test_agent_refuses_to_run_without_landlock(home):
    r = subprocess.run([NOROSHI, "agent", "--home", home.path], env=ENV,
                       text=True, stderr=subprocess.PIPE,
                       preexec_fn=without_landlock, timeout=60)
    assert r.returncode == 2
    assert "no Landlock" in r.stderr and "--sandbox=seccomp" in r.stderr


def test_seccomp_alone_is_asked_for_and_warned_about(home):
    agent = subprocess.Popen(
        [NOROSHI, "agent", "--home", home.path, "--sandbox=seccomp"], env=ENV,
        text=True, stderr=subprocess.PIPE, preexec_fn=without_landlock)
    try:
        for role in ("supervisor", "keeper", "courier"):
            pid = wait_for(role, lambda: home.pid(role))
            with open(f"/proc/{pid}/status") as f:
                assert "Seccomp:\t2" in f.read()
        home.connected()
    finally:
        agent.terminate()
        said = agent.communicate(timeout=60)[1]
    assert agent.returncode == 0
    assert "warning" in said and "every file" in said


def test_there_is_no_way_to_run_unconfined(home):
    assert "no way to run unconfined" in home.run(
        "agent", "--sandbox=none", status=2)
