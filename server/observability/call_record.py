"""The record of a call that has ended, for the access log."""

from typing import NamedTuple

import grpc

from server.observability.trace_context import Trace


class CallRecord(NamedTuple):
    """One call that has ended.

    Attributes:
        method: the path of the method, such as "/calculator.v1.Calculator/Calculate".
        code: the status code.
        duration: the duration in seconds.
        received_bytes: the size of the request messages.
        sent_bytes: the size of the response messages.
        peer: the address of the client, such as "ipv4:127.0.0.1:51234".
        deadline_left_ms: the time left until the client's deadline, in milliseconds; None without a deadline.
        caller: the e-mail address in the identity token, if the token was verified.
        refusal: the reason why the identity token is invalid, if a token was required.
        trace: the trace context, if the call has one.
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
