"""Captures of network traffic: read, write, and taken apart into the boots they show."""
