"""The features of the tutorial, rectangles and distances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.geography import Place, distance, features, within

places = st.builds(Place, st.integers(-(9 * 10**8), 9 * 10**8), st.integers(-(18 * 10**8), 18 * 10**8))


def test_features_include_those_of_the_tutorial() -> None:
    assert len(features()) >= 100
    assert features()[Place(407838351, -746143763)] == "Patriots Path, Mendham, NJ 07945, USA"
    assert features()[Place(409146138, -746188906)] == "Berkshire Valley Management Area Trail, Jefferson, NJ, USA"


@given(places, places)
def test_a_rectangle_contains_the_features_between_any_two_opposite_corners(one: Place, other: Place) -> None:
    found = dict(within(one, other))
    assert found == dict(within(other, one))
    for place in features():
        is_inside = all(min(ends) <= value <= max(ends) for value, *ends in zip(place, one, other, strict=True))
        assert (place in found) == is_inside


def test_a_degree_of_latitude_is_about_111_kilometers() -> None:
    assert distance(Place(0, 0), Place(10_000_000, 0)) == pytest.approx(111_195, abs=1)


def test_a_degree_of_longitude_is_shorter_near_the_pole() -> None:
    assert distance(Place(600_000_000, 0), Place(600_000_000, 10_000_000)) == pytest.approx(111_195 / 2, rel=1e-3)


@given(places, places)
def test_a_distance_is_symmetric_and_at_most_half_the_circumference(one: Place, other: Place) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert 0 <= distance(one, other) <= 20_015_087


@given(places)
def test_the_distance_of_a_place_from_itself_is_zero(place: Place) -> None:
    assert distance(place, place) == 0
