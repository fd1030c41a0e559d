"""From the ESO archive to reduced data: calSelector, ESO Reflex and EsoRex in one road."""

__version__ = "0.1.0"
