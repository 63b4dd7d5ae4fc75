"""Captured boots in front of a configuration, in virtual time, and the pytest plugin. Nothing here, so that the plugin stays cheap."""
