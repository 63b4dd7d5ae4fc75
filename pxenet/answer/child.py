"""The process that renders templates for another one: reads jobs from standard input, answers on standard output, each with its length.

It limits itself: processor time by a timer whose signal raises where the template is at that moment, so that the line is known;
memory by RLIMIT_AS. What neither stops (one call that never returns) is ended by the parent. Jobs are pickles, which come from the
parent alone; replies are JSON, for what comes out of here is not to be trusted.
"""

from __future__ import annotations

import json
import pickle
import resource
import signal
import struct
import sys
from types import FrameType

from pxenet.answer.engines import Job
from pxenet.answer.templates import MEMORY, ExceededError, TemplateProblem, TooLongError, template_line

LENGTH = struct.Struct("!I")
# Before each message: bytes that follow.

_PAGE = resource.getpagesize()
_AGAIN_S = 0.05
"""Between further signals, should something swallow what the first one raised."""


def main(cpu_s: float, memory_bytes: int) -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGPROF, _time_is_up)
    _limit_memory(memory_bytes)
    jobs, replies = sys.stdin.buffer, sys.stdout.buffer
    while head := jobs.read(LENGTH.size):
        path, text, origin, names = pickle.loads(jobs.read(LENGTH.unpack(head)[0]))
        reply = _answer(Job(path, text, origin, names), cpu_s)
        data = json.dumps(reply).encode()
        replies.write(LENGTH.pack(len(data)) + data)
        replies.flush()


def _answer(job: Job, cpu_s: float) -> dict[str, object]:
    signal.setitimer(signal.ITIMER_PROF, cpu_s, _AGAIN_S)
    try:
        try:
            return {"text": job.run()}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TemplateProblem as problem:
        exceeded = isinstance(problem, ExceededError)
        return {"file": problem.file, "line": problem.line, "message": problem.message, "exceeded": exceeded}
    except TooLongError as error:  # beside the template: while it is compiled, or when it has just ended
        return {"file": job.called, "line": 0, "message": str(error), "exceeded": True}
    except MemoryError:
        return {"file": job.called, "line": 0, "message": MEMORY, "exceeded": True}


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TooLongError(*(template_line(frame) or ()))


def _limit_memory(more_bytes: int) -> None:
    """So much more than what the interpreter has taken already."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        taken = int(statm.read().split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (taken + more_bytes, taken + more_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
