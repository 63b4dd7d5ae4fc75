"""Servers that break their word, for proofs to catch: a proof that cannot fail shows nothing.

Each is Python that the proof's own launcher runs in the server's process before it starts; no product feature.
"""

_PRAGMA = """\
from pxenet.store import sqlite
connect = sqlite._connect
def weak(*positional, **named):
    connection = connect(*positional, **named)
    connection.execute("PRAGMA synchronous = {how}")
    return connection
sqlite._connect = weak
"""

_EARLY = """\
from pxenet.model import Verdict
from pxenet.server.commit import Committer
submit = Committer.submit
def early(self, changes, done, after=None):
    submit(self, changes, lambda verdict: None)
    done(Verdict.DURABLE)
    if after is not None:
        after()
Committer.submit = early
"""

WEAK = {
    "synchronous=OFF": _PRAGMA.format(how="OFF"),
    "synchronous=NORMAL": _PRAGMA.format(how="NORMAL"),
    "answer before the flush": _EARLY,
}
"""Name to script: never flushes; flushes only when it folds the log; answers without waiting."""
