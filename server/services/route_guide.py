"""The servicer of RouteGuide: converts messages to calls of geography, and back."""

import threading
import time
from collections import deque
from collections.abc import Iterator

import grpc
from routeguide import route_guide_pb2 as pb
from routeguide import route_guide_pb2_grpc

from nggrpc import never_blocks
from server.domain import geography
from server.domain.errors import ResultOverflowError, TooLongError
from server.domain.geography import Place

# The limits of stored notes: the latest places, the latest notes per place, and the size of a note. Without them, the
# server would run out of memory.
_MAX_PLACES = 1000
_MAX_NOTES_PER_PLACE = 100
_MAX_NOTE_BYTES = 1000

_LONGEST_ROUTE_METERS = 2**31 - 1


def _place(point: pb.Point) -> Place:
    return Place(point.latitude, point.longitude)


def _feature(place: Place, name: str) -> pb.Feature:
    return pb.Feature(name=name, location=pb.Point(latitude=place.latitude, longitude=place.longitude))


class _Notes:
    """The latest notes of all chats."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_place: dict[Place, deque[pb.RouteNote]] = {}

    def exchange(self, note: pb.RouteNote) -> list[pb.RouteNote]:
        """Return the previous notes at the place of a note, and store the note.

        Raises:
            TooLongError: the note is larger than _MAX_NOTE_BYTES.
        """
        if note.ByteSize() > _MAX_NOTE_BYTES:
            raise TooLongError(f"the note has {note.ByteSize()} bytes; accepted: {_MAX_NOTE_BYTES}", field="message")
        place = _place(note.location)
        with self._lock:
            # Removing and reinserting a place makes it the latest; the least recently used one is evicted.
            notes = self._by_place.pop(place, deque[pb.RouteNote](maxlen=_MAX_NOTES_PER_PLACE))
            before = list(notes)
            # Store a copy, since the parsed message may keep alive a request buffer that is a thousand times larger.
            notes.append(pb.RouteNote.FromString(note.SerializeToString()))
            self._by_place[place] = notes
            if len(self._by_place) > _MAX_PLACES:
                del self._by_place[next(iter(self._by_place))]
        return before


class RouteGuideServicer(route_guide_pb2_grpc.RouteGuideServicer):
    """`routeguide.RouteGuide` of the basics tutorial."""

    def __init__(self) -> None:
        """Start with no notes."""
        self._notes = _Notes()

    @never_blocks
    def GetFeature(self, request: pb.Point, context: grpc.ServicerContext) -> pb.Feature:
        """Return the feature at a point; its name is empty if there is no feature."""
        place = _place(request)
        return _feature(place, geography.features().get(place, ""))

    @never_blocks
    def ListFeatures(self, request: pb.Rectangle, context: grpc.ServicerContext) -> Iterator[pb.Feature]:
        """Yield the features in a rectangle."""
        for place, name in geography.within(_place(request.lo), _place(request.hi)):
            yield _feature(place, name)

    @never_blocks
    def RecordRoute(self, request_iterator: Iterator[pb.Point], context: grpc.ServicerContext) -> pb.RouteSummary:
        """Return a summary of the route once the request stream has ended."""
        points = named = 0
        distance = 0.0
        began = time.monotonic()
        last: Place | None = None
        for point in request_iterator:
            place = _place(point)
            points += 1
            named += place in geography.features()
            distance += geography.distance(last, place) if last else 0
            last = place
        elapsed = time.monotonic() - began
        if distance > _LONGEST_ROUTE_METERS:
            raise ResultOverflowError(f"the route is longer than {_LONGEST_ROUTE_METERS} m")
        return pb.RouteSummary(
            point_count=points, feature_count=named, distance=int(distance), elapsed_time=int(elapsed)
        )

    @never_blocks
    def RouteChat(
        self, request_iterator: Iterator[pb.RouteNote], context: grpc.ServicerContext
    ) -> Iterator[pb.RouteNote]:
        """Yield, for each note, the notes that were left at the same place before."""
        for note in request_iterator:
            yield from self._notes.exchange(note)
