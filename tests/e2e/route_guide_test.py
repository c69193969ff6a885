"""Tests of RouteGuide, which call it as the clients of the published tutorials do."""

import queue
from collections.abc import Iterator

import grpc
import pytest
from routeguide import route_guide_pb2 as pb
from routeguide import route_guide_pb2_grpc

from testing import programs, timeouts


@pytest.fixture
def stub(channel: grpc.Channel) -> route_guide_pb2_grpc.RouteGuideStub:
    return route_guide_pb2_grpc.RouteGuideStub(channel)


def test_get_feature_answers_as_in_the_tutorial(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    known = pb.Point(latitude=409146138, longitude=-746188906)
    assert stub.GetFeature(known, timeout=timeouts.SECONDS) == pb.Feature(
        name="Berkshire Valley Management Area Trail, Jefferson, NJ, USA", location=known
    )
    nowhere = pb.Point(latitude=0, longitude=0)
    assert stub.GetFeature(nowhere, timeout=timeouts.SECONDS) == pb.Feature(location=nowhere)


def test_get_feature_has_the_bytes_of_the_public_proto(channel: grpc.Channel) -> None:
    # latitude 409146138 is field 1, longitude -746188906 field 2, both varints; the answer's name is field 1.
    request = bytes.fromhex("08 9a a6 8c c3 01  10 96 9f 98 9c fd ff ff ff ff 01")
    answer = programs.call(channel, "/routeguide.RouteGuide/GetFeature", request)
    assert answer.startswith(b"\x0a\x3aBerkshire Valley Management Area Trail, Jefferson, NJ, USA\x12")


def test_list_features_returns_the_features_in_the_tutorials_rectangle(
    stub: route_guide_pb2_grpc.RouteGuideStub,
) -> None:
    rectangle = pb.Rectangle(
        lo=pb.Point(latitude=400000000, longitude=-750000000), hi=pb.Point(latitude=420000000, longitude=-730000000)
    )
    features = list(stub.ListFeatures(rectangle, timeout=timeouts.SECONDS))
    assert len(features) > 90
    assert "Patriots Path, Mendham, NJ 07945, USA" in [feature.name for feature in features]
    for feature in features:
        assert 400000000 <= feature.location.latitude <= 420000000
        assert -750000000 <= feature.location.longitude <= -730000000


def test_record_route_counts_and_measures_a_route(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    points = [
        pb.Point(latitude=407838351, longitude=-746143763),
        pb.Point(latitude=409146138, longitude=-746188906),
        pb.Point(latitude=0, longitude=0),
    ]
    summary = stub.RecordRoute(iter(points[:2]), timeout=timeouts.SECONDS)
    assert (summary.point_count, summary.feature_count) == (2, 2)
    assert 0 <= summary.elapsed_time < timeouts.SECONDS
    assert summary.distance == pytest.approx(14_547, abs=10)
    assert stub.RecordRoute(iter(points), timeout=timeouts.SECONDS).feature_count == 2
    nothing = stub.RecordRoute(iter([]), timeout=timeouts.SECONDS)
    assert (nothing.point_count, nothing.feature_count, nothing.distance) == (0, 0, 0)


def test_a_note_is_answered_with_the_earlier_notes_at_its_location(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    notes = queue.SimpleQueue[pb.RouteNote | None]()

    def sent() -> Iterator[pb.RouteNote]:
        while note := notes.get():
            yield note

    chat = stub.RouteChat(sent(), timeout=timeouts.SECONDS)
    here, there = pb.Point(latitude=1, longitude=1), pb.Point(latitude=1, longitude=2)
    for message, place in (("first", here), ("elsewhere", there), ("second", here), ("third", here)):
        notes.put(pb.RouteNote(message=message, location=place))
    assert [next(chat).message for _ in range(3)] == ["first", "first", "second"]
    notes.put(None)
    assert list(chat) == []


def test_only_the_newest_notes_at_a_location_are_kept(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    place = pb.Point(latitude=7, longitude=7)
    left = [pb.RouteNote(message=str(number), location=place) for number in range(150)]
    list(stub.RouteChat(iter(left), timeout=timeouts.SECONDS))
    answer = list(stub.RouteChat(iter(left[:1]), timeout=timeouts.SECONDS))
    assert [note.message for note in answer] == [str(number) for number in range(50, 150)]


def test_only_the_most_recently_used_locations_are_kept(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    first = pb.RouteNote(message="first", location=pb.Point(latitude=9))
    others = [pb.RouteNote(location=pb.Point(latitude=9, longitude=number)) for number in range(1, 1000)]
    one_more = pb.RouteNote(location=pb.Point(latitude=10))
    assert list(stub.RouteChat(iter([first, *others, first]), timeout=timeouts.SECONDS)) == [first]
    # A location that is used again outlives those that are not.
    assert list(stub.RouteChat(iter([one_more, first]), timeout=timeouts.SECONDS)) == [first, first]
    list(stub.RouteChat(iter([*others, one_more]), timeout=timeouts.SECONDS))
    assert list(stub.RouteChat(iter([first]), timeout=timeouts.SECONDS)) == []


def test_a_route_too_long_for_the_distance_field_is_out_of_range(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    ends = [pb.Point(), pb.Point(longitude=1800000000)]  # halfway around the Earth
    assert stub.RecordRoute(iter(ends * 50), timeout=timeouts.SECONDS).distance == pytest.approx(
        99 * 20_015_087, abs=99
    )
    with pytest.raises(grpc.RpcError) as refused:
        stub.RecordRoute(iter(ends * 60), timeout=timeouts.SECONDS)
    assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE


def test_a_note_too_long_to_keep_is_refused(stub: route_guide_pb2_grpc.RouteGuideStub) -> None:
    place = pb.Point(latitude=8, longitude=8)
    fits, too_long = (pb.RouteNote(message="x" * length, location=place) for length in (990, 1000))
    assert list(stub.RouteChat(iter([fits, fits]), timeout=timeouts.SECONDS)) == [fits]
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.RouteChat(iter([too_long]), timeout=timeouts.SECONDS))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
