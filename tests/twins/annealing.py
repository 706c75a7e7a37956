"""Simulated annealing in NumPy: Metropolis' walk, on random numbers made as the core makes them."""

from __future__ import annotations

import numpy as np

TOGETHER = 64  # proposals whose random numbers have a counter in common, or 1024 normals if those are fewer


def philox(counters, stream, position, seed):
    """Philox4x32-10 of counters (k,): (4, k) numbers of 32 bits."""
    low, word = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [np.asarray(counters, np.uint64)]
    c += [np.full_like(c[0], part) for part in (stream, position & 0xFFFFFFFF, position >> 32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [b >> word ^ c[1] ^ np.uint64(key[0]), b & low, a >> word ^ c[3] ^ np.uint64(key[1]), a & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.array(c)


def normals(n, stream, position, seed):
    """Box & Muller: of each 16 counters, the points of numbers 0 and 1, then those of 2 and 3; cosines first."""
    blocks = -(-n // 64)
    words = philox(np.arange(16 * blocks), stream, position, seed).reshape(2, 2, blocks, 16)
    distance = np.sqrt(-2 * np.log((words[:, 0] + 0.5) / 2**32))
    angle = 2 * np.pi * words[:, 1] / 2**32
    points = distance * np.array([np.cos(angle), np.sin(angle)])  # (cosine or sine, pair, block, 16)
    return points.transpose(2, 1, 0, 3).reshape(-1)[:n]


def uniforms(stream, position, seed):
    """(64, 2) numbers in [0, 1) with 53 bits each."""
    words = philox(np.arange(TOGETHER), stream, position, seed)
    return (
        np.stack([(words[i] << np.uint64(32) | words[i + 1]) >> np.uint64(11) for i in (0, 2)], axis=-1)
        / 2**53
    )


def temperature(law, first, last, i, n):
    s = i / max(n - 1, 1)
    return {
        "geometric": first * (last / first) ** s,
        "linear": first + (last - first) * s,
        "logarithmic": first / np.log(1 + (i + 1)),
        "inverse": first / (1 + (first / last - 1) * s),
    }[law]


def reflect(x, bound):
    while abs(x) > bound:
        x = np.copysign(2 * bound, x) - x
    return x


def anneal(energy, start, seed, config, schedules=1):
    """Yield (current, best, acceptance) after each cycle of proposals."""
    n, cycles, one = config["proposals"], config["cycles"], config["one_coordinate"]
    width = 1 if one else len(start)
    together = min(max(1024 // width, 1), TOGETHER)
    bound = np.inf if config["bound"] is None else config["bound"]
    x, best = start.copy(), start.copy()
    here = lowest = energy(x)
    for k in range(schedules * n):
        i = k % n
        if k % together == 0:
            steps = normals(together * width, 0xA0000000, k // together, seed).reshape(together, width)
            luck, choice = uniforms(0xA0000001, k // together, seed).T
        if i == 0:
            sigma, cycle, begin, accepted = config["sigma"], 1, 0, 0
        t = temperature(config["cooling"], config["temperature"], config["final_temperature"], i, n)
        if not config["adaptive"]:
            sigma = config["sigma"] * (config["final_sigma"] / config["sigma"]) ** (i / max(n - 1, 1))
        there = x.copy()
        for j in [int(choice[k % together] * len(x))] if one else range(len(x)):
            there[j] = reflect(x[j] + sigma * steps[k % together, 0 if one else j], bound)
        rise = energy(there) - here
        uphill = config["acceptance"] == "metropolis" and luck[k % together] < np.exp(-max(rise, 0) / t)
        if rise <= 0 or uphill:
            x, here, accepted = there, energy(there), accepted + 1
        if here < lowest:
            best, lowest = x.copy(), here
        if i + 1 == n * cycle // cycles:
            share = accepted / (i + 1 - begin)
            yield x.copy(), best.copy(), share
            if config["adaptive"] and share > 0.44:
                sigma = min(sigma * (1 + 2 * (share - 0.44) / 0.56), bound)
            elif config["adaptive"]:
                sigma /= 1 + 2 * (0.44 - share) / 0.44
            cycle, begin, accepted = cycle + 1, i + 1, 0
