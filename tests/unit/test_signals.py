"""Signals that ask to stop, wherever they arrive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from esorex_bridge.signals import make_handler
from tests.commands import PATIENCE_S

AMID_IMPORTS = """
import importlib, os, signal, sys, threading, time
from esorex_bridge.signals import make_handler

raise_it = make_handler(lambda number: KeyboardInterrupt())
heeded, over, caught = False, threading.Event(), 0

def handle(number, frame):
    if heeded:
        raise_it(number, frame)

def send():
    for _ in range(1000):
        time.sleep(0.0002)
        os.kill(os.getpid(), signal.SIGINT)
    over.set()

def load(name):
    while not over.is_set():
        sys.modules.pop(name, None)
        importlib.import_module(name)
        time.sleep(0.0001)

others = [threading.Thread(target=load, args=[name], daemon=True) for name in ("bdb", "cmd", "pprint")]
for other in others:
    other.start()
signal.signal(signal.SIGINT, handle)
threading.Thread(target=send).start()
while not over.is_set():
    try:
        heeded = True
        load("colorsys")
        heeded = False
    except KeyboardInterrupt:
        heeded = False
        caught += 1
for other in others:
    other.join(20)
print(caught > 10, any(other.is_alive() for other in others), flush=True)
os._exit(0)
"""


def test_a_signal_amid_an_import_keeps_no_other_thread_from_importing() -> None:
    told = subprocess.run(
        [sys.executable, "-c", AMID_IMPORTS], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert told.stdout.split() == ["True", "False"]


def test_a_second_signal_does_not_disturb_what_the_first_set_going() -> None:
    earlier = signal.signal(signal.SIGHUP, make_handler(InterruptedError))
    try:
        with pytest.raises(InterruptedError, match=str(int(signal.SIGHUP))):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, earlier)
