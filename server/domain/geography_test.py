"""Geography: the tutorial's places, rectangles, distances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.geography import Place, distance, features, within

places = st.builds(Place, st.integers(-(9 * 10**8), 9 * 10**8), st.integers(-(18 * 10**8), 18 * 10**8))


def test_there_are_a_hundred_features_and_the_tutorials_among_them() -> None:
    assert len(features()) >= 100
    assert features()[Place(407838351, -746143763)] == "Patriots Path, Mendham, NJ 07945, USA"
    assert features()[Place(409146138, -746188906)] == "Berkshire Valley Management Area Trail, Jefferson, NJ, USA"


@given(places, places)
def test_a_rectangle_holds_what_is_between_its_corners_whichever_they_are(one: Place, other: Place) -> None:
    found = dict(within(one, other))
    assert found == dict(within(other, one))
    for place in features():
        is_inside = all(min(ends) <= value <= max(ends) for value, *ends in zip(place, one, other, strict=True))
        assert (place in found) == is_inside


def test_a_degree_of_latitude_is_some_111_kilometres() -> None:
    assert distance(Place(0, 0), Place(10_000_000, 0)) == pytest.approx(111_195, abs=1)


def test_a_degree_of_longitude_shrinks_towards_the_pole() -> None:
    assert distance(Place(600_000_000, 0), Place(600_000_000, 10_000_000)) == pytest.approx(111_195 / 2, rel=1e-3)


@given(places, places)
def test_the_way_back_is_as_long_and_never_more_than_half_around_the_earth(one: Place, other: Place) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert 0 <= distance(one, other) <= 20_015_087


@given(places)
def test_a_place_is_no_way_from_itself(place: Place) -> None:
    assert distance(place, place) == 0
