"""An `http2.Session` on the h2 library, so that tests can compare its results with those of ngh2.

h2 is pure Python and shares no code with nghttp2.
"""

from collections import deque
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.settings import SettingCodes

from nggrpc import http2
from nggrpc.http2 import Event, Headers


@dataclass
class _Stream:
    """The state of a stream: the queued response, and which sides have ended."""

    queue: deque[bytes] = field(default_factory=deque)
    trailers: Headers | None = None
    client_has_ended: bool = False
    server_has_ended: bool = False


class H2Session:
    """The server side of a connection; it implements `http2.Session`."""

    def __init__(self, max_streams: int, max_header_bytes: int) -> None:
        configuration = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self._h2 = h2.connection.H2Connection(configuration)
        self._h2.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
                SettingCodes.INITIAL_WINDOW_SIZE: http2.STREAM_WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: max_header_bytes,
            }
        )
        self._h2.initiate_connection()
        self._events: list[Event] = []
        self._streams: dict[int, _Stream] = {}

    def receive_data(self, data: bytes | memoryview) -> None:
        for event in self._h2.receive_data(bytes(data)):
            self._translate(event)

    def _translate(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._streams[event.stream_id] = _Stream()
            headers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
            self._events.append(http2.RequestReceived(event.stream_id, headers, event.stream_ended is not None))
        elif isinstance(event, h2.events.DataReceived):
            self._events.append(http2.DataReceived(event.stream_id, event.data, event.stream_ended is not None))
        elif isinstance(event, h2.events.TrailersReceived):
            self._events.append(http2.TrailersReceived(event.stream_id, ()))
        elif isinstance(event, h2.events.StreamEnded):
            self._streams[event.stream_id].client_has_ended = True
            self._close_if_ended(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._close(event.stream_id, event.error_code)

    def _close_if_ended(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream and stream.client_has_ended and stream.server_has_ended:
            self._close(stream_id, 0)

    def _close(self, stream_id: int, error_code: int) -> None:
        if self._streams.pop(stream_id, None):
            self._events.append(http2.StreamClosed(stream_id, error_code, None))

    def events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def data_to_send(self, amount: int) -> bytes:
        for stream_id, stream in tuple(self._streams.items()):
            self._send_queue(stream_id, stream)
        return self._h2.data_to_send(amount)

    def _send_queue(self, stream_id: int, stream: _Stream) -> None:
        while stream.queue:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if not room:
                return
            data = stream.queue.popleft()
            self._h2.send_data(stream_id, data[:room])
            if data[room:]:
                stream.queue.appendleft(data[room:])
        if stream.trailers is not None and not stream.server_has_ended:
            self._h2.send_headers(stream_id, stream.trailers, end_stream=True)
            stream.server_has_ended = True
            self._close_if_ended(stream_id)

    def send_response(self, stream_id: int, headers: Headers, *, end_stream: bool = False) -> None:
        self._h2.send_headers(stream_id, headers, end_stream=end_stream)
        self._streams[stream_id].server_has_ended = end_stream
        self._close_if_ended(stream_id)

    def send_data(self, stream_id: int, data: bytes) -> None:
        self._streams[stream_id].queue.append(data)

    def send_trailers(self, stream_id: int, headers: Headers) -> None:
        self._streams[stream_id].trailers = headers

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        self._h2.reset_stream(stream_id, error_code)
        self._close(stream_id, error_code)

    def acknowledge_received_data(self, amount: int, stream_id: int) -> None:
        self._h2.acknowledge_received_data(amount, stream_id)

    def queued_body_size(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        return sum(map(len, stream.queue)) if stream else 0

    def stream_remote_window_size(self, stream_id: int) -> int:
        return self._h2.local_flow_control_window(stream_id)

    @property
    def remote_window_size(self) -> int:
        return self._h2.outbound_flow_control_window

    @property
    def local_window_size(self) -> int:
        return self._h2.inbound_flow_control_window

    def ping(self, opaque_data: bytes) -> None:
        self._h2.ping(opaque_data)

    def send_shutdown_notice(self) -> None:
        self._h2.close_connection()  # h2 has no shutdown notice

    def send_goaway(self, error_code: int = 0, *, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        self._h2.close_connection(error_code, debug_data or None, last_stream_id)
