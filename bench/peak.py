"""The machine's FMA peak in float32, measured: independent multiply-adds in registers, compiled with `cc`.

Run `python -m bench.peak`, optionally with `--target avx2 --threads 2`.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Twelve chains hide a latency of six cycles on two ports, and fit sixteen registers with the two constants. They
# are separate names because GCC keeps an array in memory; without -ffast-math no compiler folds the rounds.
CHAINS = range(12)
SOURCE = f"""
typedef float vec __attribute__((vector_size(BYTES)));
void chains(long rounds, float *out) {{
    vec x = (vec){{}} + out[0], y = (vec){{}} + out[1];
    vec {", ".join(f"a{i} = y + {i}.0f" for i in CHAINS)};
    for (long r = 0; r < rounds; r++) {{ {" ".join(f"a{i} = a{i} * x + y;" for i in CHAINS)} }}
    vec sum = {" + ".join(f"a{i}" for i in CHAINS)};
    for (int lane = 0; lane < BYTES / 4; lane++) out[2] += sum[lane];
}}
"""

TARGETS = {
    "avx512": (64, ["-mavx512f"]),
    "avx2": (32, ["-mavx2", "-mfma"]),
    "baseline": (16, []),
}
"""target -> (bytes of a vector, compiler flags)."""


def supported() -> list[str]:
    """Targets this CPU runs, widest first, where /proc/cpuinfo tells; otherwise the baseline alone."""
    cpuinfo = Path("/proc/cpuinfo")
    features = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    needs = {"avx512": {"avx512f"}, "avx2": {"avx2", "fma"}, "baseline": set()}
    return [target for target in TARGETS if needs[target] <= features]


@functools.cache
def compiled(target: str) -> ctypes.CDLL | None:
    """The loop for this target, or None without a C compiler or on a CPU that cannot run it."""
    compiler = shutil.which("cc")
    if compiler is None or target not in supported():
        return None
    size, flags = TARGETS[target]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "peak.c"), Path(folder, "peak.so")
        source.write_text(SOURCE.replace("BYTES", str(size)))
        options = ["-O2", "-ffp-contract=fast", "-shared", "-fPIC", *flags]
        command = [compiler, *options, "-o", str(library), str(source)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            return None
        return ctypes.CDLL(str(library))


def fma_peak(target: str, threads: int = 1, seconds: float = 0.003, tries: int = 50) -> float | None:
    """Highest FLOP/s of all threads together, of many short tries; None where it cannot be measured."""
    library = compiled(target)
    if library is None:
        return None

    def rate(rounds: int) -> float:
        start = time.perf_counter()
        library.chains(ctypes.c_long(rounds), (ctypes.c_float * 3)(0.999, 0.001, 0.0))
        return rounds / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        rounds = max(1, int(seconds * rate(1_000_000)))
        best = max(sum(pool.map(rate, [rounds] * threads)) for _ in range(tries))
    return best * len(CHAINS) * 2 * TARGETS[target][0] / 4


def main() -> None:
    """Print the peak."""
    parser = argparse.ArgumentParser(description="Measure the float32 FMA peak.")
    parser.add_argument("--target", choices=supported(), default=supported()[0])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    peak = fma_peak(arguments.target, arguments.threads)
    shown = "no C compiler" if peak is None else f"{peak / 1e9:.1f} GFLOP/s"
    print(f"{arguments.target}, {arguments.threads} threads: {shown}")


if __name__ == "__main__":
    main()
