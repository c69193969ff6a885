"""What is known of a call once it has ended: the access log writes it."""

from typing import NamedTuple

import grpc

from server.observability.trace_context import Trace


class CallRecord(NamedTuple):
    """One call that has ended.

    Attributes:
        method: its path, such as "/calculator.v1.Calculator/Calculate".
        code: its status code.
        duration: its duration in seconds.
        received_bytes: the size of its request messages.
        sent_bytes: the size of its response messages.
        peer: the address of its client, such as "ipv4:127.0.0.1:51234".
        deadline_left_ms: the milliseconds that were left until the client's deadline; None without a deadline.
        caller: the e-mail address of its identity token, if that was verified.
        refusal: why its identity token is not valid, if one was required.
        trace: its place in a trace, if it has one.
    """

    method: str
    code: grpc.StatusCode
    duration: float
    received_bytes: int
    sent_bytes: int
    peer: str
    deadline_left_ms: int | None = None
    caller: str | None = None
    refusal: str | None = None
    trace: Trace | None = None
