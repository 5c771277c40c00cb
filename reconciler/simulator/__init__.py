"""Plays a fleet's future: the real daemon over simulated hosts, in simulated time, with faults and their outcome."""
