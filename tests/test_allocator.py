"""Freed memory stays with a process that computes, and is not asked of the kernel again."""

import ctypes
import platform
import subprocess
import sys

import pytest

from histopair.jobs import allocator
from workflow import ROOT

FAULTS = """
import resource, sys
sys.path.insert(0, {scripts!r})
from histopair.jobs import allocator
import numpy as np
if {keep}:
    allocator.keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


HELD = """
import sys
sys.path.insert(0, {scripts!r})
from histopair.jobs import allocator
allocator.keep_freed_memory()
import numpy as np
held = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
np.ones(2**25)
before = held()
allocator.give_back()
print(before - held())
"""


def _faults(keep: bool) -> int:
    code = FAULTS.format(scripts=str(ROOT / "workflow/scripts"), keep=keep)
    return int(subprocess.run([sys.executable, "-c", code], stdout=-1, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_freed_memory_is_used_again():
    assert _faults(keep=True) < _faults(keep=False) / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_freed_memory_is_given_back_between_stages():
    code = HELD.format(scripts=str(ROOT / "workflow/scripts"))
    freed = int(subprocess.run([sys.executable, "-c", code], stdout=-1, check=True).stdout)
    assert freed > 0.9 * 2**28  # of the 256 MB that the array held


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_other_c_libraries_go_on(monkeypatch, error):
    def refuse(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    allocator.keep_freed_memory()
    allocator.give_back()
