"""A captured boot looked at: its stages, who took the time, and what is odd about it; as text, as a record, as a page."""
