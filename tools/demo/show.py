"""What the demonstration prints: a line that moves on a terminal, else lines
now and then; and the tables at the end."""

import sys
import time

EVERY_S = 10  # between lines when nobody watches


class Failure(Exception):
    """Something the demonstration cannot go on after; said to the user."""


class Screen:
    def __init__(self):
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()
        self.shown = 0.0
        self.open = False  # a moving line stands unfinished

    def _stamp(self):
        s = int(time.monotonic() - self.began)
        return f"[{s // 60}:{s % 60:02d}]"

    def moving(self, text):
        """Progress: replaces itself on a terminal."""
        now = time.monotonic()
        if self.live:
            if now - self.shown >= 0.1:
                sys.stdout.write(f"\r\033[K{self._stamp()} {text}")
                sys.stdout.flush()
                self.open, self.shown = True, now
        elif now - self.shown >= EVERY_S:
            print(f"{self._stamp()} {text}", flush=True)
            self.shown = now

    def say(self, text):
        """A line that stays."""
        if self.open:
            sys.stdout.write("\r\033[K")
            self.open = False
        print(f"{self._stamp()} {text}", flush=True)

    def table(self, title, rows):
        if self.open:
            sys.stdout.write("\r\033[K")
            self.open = False
        print(f"\n{title}")
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"  {name:<{width}}  {value}")
        sys.stdout.flush()


def octets(n):
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.2f} GB"


def bar(done, total, width=24):
    filled = width * done // total if total else 0
    return "#" * filled + "." * (width - filled)


def seconds(values):
    """first / median / last"""
    if not values:
        return "none"
    v = sorted(values)
    return f"{v[0]:.2f} s / {v[len(v) // 2]:.2f} s / {v[-1]:.2f} s"
