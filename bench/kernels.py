"""The kernels of this machine by name, as NR_CPU masks (src/base/cpu.h)."""
import pathlib

MASKS = {"scalar": "0x0", "avx2": "0x1", "avx512": "0x3", "neon": "0x4"}
NEEDS = {"scalar": "", "avx2": "avx2", "avx512": "avx512_vbmi2",
         "neon": "asimd"}


def here(names=None):
    """(name, mask) of NAMES, or of all, that this processor can run."""
    info = pathlib.Path("/proc/cpuinfo").read_text().split()
    return [(n, MASKS[n]) for n in (names or MASKS)
            if not NEEDS[n] or NEEDS[n] in info]
