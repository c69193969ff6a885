"""The servicer of RouteGuide: messages in, places to geography, messages out."""

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

# What is kept of the notes: so many places, at each the newest so many, none longer than this, in bytes. A server that
# forgot nothing would run out.
_MAX_PLACES = 1000
_MAX_NOTES_A_PLACE = 100
_MAX_NOTE_BYTES = 1000

_LONGEST_ROUTE_METRES = 2**31 - 1


def _place(point: pb.Point) -> Place:
    return Place(point.latitude, point.longitude)


def _feature(place: Place, name: str) -> pb.Feature:
    return pb.Feature(name=name, location=pb.Point(latitude=place.latitude, longitude=place.longitude))


class _Notes:
    """The notes of all chats, for as long as there is room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_place: dict[Place, deque[pb.RouteNote]] = {}

    def exchange(self, note: pb.RouteNote) -> list[pb.RouteNote]:
        """Return what was left at a note's place before, and leave it there.

        Raises:
            TooLongError: it is longer than a note may be.
        """
        if note.ByteSize() > _MAX_NOTE_BYTES:
            raise TooLongError(f"the note has {note.ByteSize()} bytes; accepted: {_MAX_NOTE_BYTES}", field="message")
        place = _place(note.location)
        with self._lock:
            # Taken out and put back, a place is the newest of all; the oldest goes where there are too many.
            notes = self._by_place.pop(place, deque[pb.RouteNote](maxlen=_MAX_NOTES_A_PLACE))
            before = list(notes)
            # A copy: as it was parsed, it may hold a request a thousand times its size.
            notes.append(pb.RouteNote.FromString(note.SerializeToString()))
            self._by_place[place] = notes
            if len(self._by_place) > _MAX_PLACES:
                del self._by_place[next(iter(self._by_place))]
        return before


class RouteGuideServicer(route_guide_pb2_grpc.RouteGuideServicer):
    """`RouteGuide` of the basics tutorial."""

    def __init__(self) -> None:
        """Start with no notes."""
        self._notes = _Notes()

    @never_blocks
    def GetFeature(self, request: pb.Point, context: grpc.ServicerContext) -> pb.Feature:
        """Answer with the feature at a point, without a name if there is none."""
        place = _place(request)
        return _feature(place, geography.features().get(place, ""))

    @never_blocks
    def ListFeatures(self, request: pb.Rectangle, context: grpc.ServicerContext) -> Iterator[pb.Feature]:
        """Answer with the features of a rectangle."""
        for place, name in geography.within(_place(request.lo), _place(request.hi)):
            yield _feature(place, name)

    @never_blocks
    def RecordRoute(self, request_iterator: Iterator[pb.Point], context: grpc.ServicerContext) -> pb.RouteSummary:
        """Answer with what is to be said of the route, once it has come to its end."""
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
        if distance > _LONGEST_ROUTE_METRES:
            raise ResultOverflowError(f"the route is longer than {_LONGEST_ROUTE_METRES} m")
        return pb.RouteSummary(
            point_count=points, feature_count=named, distance=int(distance), elapsed_time=int(elapsed)
        )

    @never_blocks
    def RouteChat(
        self, request_iterator: Iterator[pb.RouteNote], context: grpc.ServicerContext
    ) -> Iterator[pb.RouteNote]:
        """Answer each note with those that were left at the same place before."""
        for note in request_iterator:
            yield from self._notes.exchange(note)
