"""Places, their features and distances, independent of gRPC."""

import csv
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_SCALE = 10_000_000
_EARTH_RADIUS_METERS = 6_371_000


class Place(NamedTuple):
    """A position in degrees times 10^7."""

    latitude: int
    longitude: int


@cache
def features() -> dict[Place, str]:
    """Return the names of all features, by their places."""
    with Path(__file__).with_name("route_guide_features.csv").open(encoding="utf-8", newline="") as file:
        return {Place(_scaled(row["latitude"]), _scaled(row["longitude"])): row["name"] for row in csv.DictReader(file)}


def _scaled(degrees: str) -> int:
    return round(float(degrees) * _SCALE)


def within(corner: Place, opposite: Place) -> Iterator[tuple[Place, str]]:
    """Yield the features of a rectangle, including its edges, given by any two opposite corners."""
    south, north = sorted((corner.latitude, opposite.latitude))
    west, east = sorted((corner.longitude, opposite.longitude))
    for place, name in features().items():
        if south <= place.latitude <= north and west <= place.longitude <= east:
            yield place, name


def distance(first: Place, second: Place) -> float:
    """Return the distance between places on a sphere, in meters (https://en.wikipedia.org/wiki/Haversine_formula)."""
    latitudes = [math.radians(place.latitude / _SCALE) for place in (first, second)]
    north = math.sin((latitudes[1] - latitudes[0]) / 2) ** 2
    east = math.sin(math.radians((second.longitude - first.longitude) / _SCALE) / 2) ** 2
    half_chord = north + math.cos(latitudes[0]) * math.cos(latitudes[1]) * east
    return 2 * _EARTH_RADIUS_METERS * math.asin(min(1.0, math.sqrt(half_chord)))
