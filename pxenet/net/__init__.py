"""Sockets and links, ignorant of boot protocols."""
