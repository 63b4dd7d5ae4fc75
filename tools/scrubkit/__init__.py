"""Captures that can be given away: what names people, places and machines is replaced, consistently and in every form."""
