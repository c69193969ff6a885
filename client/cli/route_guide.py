"""The commands of RouteGuide: route-guide feature, features, record, chat."""

import click
from routeguide import route_guide_pb2 as pb
from routeguide import route_guide_pb2_grpc

from client.cli.commands import OPERANDS, Caller, Range
from client.cli.standard_input import StandardInput

_UNITS_PER_DEGREE = 10_000_000  # defined by the proto
_LATITUDES = Range(-90, 90)
_LONGITUDES = Range(-180, 180)
_NOTE = "a latitude (-90 to 90), a longitude (-180 to 180) and a message"


def _point(latitude: float, longitude: float) -> pb.Point:
    return pb.Point(latitude=round(latitude * _UNITS_PER_DEGREE), longitude=round(longitude * _UNITS_PER_DEGREE))


def _places(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> list[pb.Point]:
    if len(words) % 2:
        raise click.BadParameter(f"{words[-1]!r} is a latitude without its longitude", context, parameter)
    return [
        _point(_LATITUDES(latitude, parameter, context), _LONGITUDES(longitude, parameter, context))
        for latitude, longitude in zip(words[::2], words[1::2], strict=True)
    ]


def _degrees(point: pb.Point) -> str:
    return f"{point.latitude / _UNITS_PER_DEGREE:.7f} {point.longitude / _UNITS_PER_DEGREE:.7f}"


def _show_feature(caller: Caller, found: pb.Feature) -> None:
    caller.show(found, f"{_degrees(found.location)}  {found.name or '(no feature)'}")


@click.group("route-guide")
def route_guide() -> None:
    """Query features and routes. A place is a latitude and a longitude in degrees."""


@route_guide.command(context_settings=OPERANDS)
@click.argument("latitude", type=_LATITUDES)
@click.argument("longitude", type=_LONGITUDES)
@click.pass_obj
def feature(caller: Caller, latitude: float, longitude: float) -> None:
    """Print the feature at a place."""
    with caller.channel() as channel:
        stub = route_guide_pb2_grpc.RouteGuideStub(channel)
        _show_feature(caller, stub.GetFeature(_point(latitude, longitude), timeout=caller.timeout))


@route_guide.command(context_settings=OPERANDS)
@click.argument("south", type=_LATITUDES)
@click.argument("west", type=_LONGITUDES)
@click.argument("north", type=_LATITUDES)
@click.argument("east", type=_LONGITUDES)
@click.pass_obj
def features(caller: Caller, south: float, west: float, north: float, east: float) -> None:
    """Print the features in a rectangle."""
    rectangle = pb.Rectangle(lo=_point(south, west), hi=_point(north, east))
    with caller.channel() as channel:
        for found in route_guide_pb2_grpc.RouteGuideStub(channel).ListFeatures(rectangle, timeout=caller.timeout):
            _show_feature(caller, found)


@route_guide.command(context_settings=OPERANDS)
@click.argument("places", nargs=-1, metavar="LATITUDE LONGITUDE ...", callback=_places)
@click.pass_obj
def record(caller: Caller, places: list[pb.Point]) -> None:
    """Print a summary of the route through the given places."""
    with caller.channel() as channel:
        summary = route_guide_pb2_grpc.RouteGuideStub(channel).RecordRoute(iter(places), timeout=caller.timeout)
    caller.show(
        summary,
        f"points    {summary.point_count}\nfeatures  {summary.feature_count}\n"
        f"distance  {summary.distance} m\ntime      {summary.elapsed_time} s",
    )


@route_guide.command()
@click.pass_obj
def chat(caller: Caller) -> None:
    """Leave a note for each input line, such as "40.7 -74 hello"; print earlier notes at the same place."""
    source = StandardInput()
    with caller.channel() as channel:
        for note in route_guide_pb2_grpc.RouteGuideStub(channel).RouteChat(source.lines(_note)):
            caller.show(note, f"{_degrees(note.location)}  {note.message}")
    source.check()


def _note(line: str) -> pb.RouteNote:
    try:
        latitude, longitude, message = line.split(maxsplit=2)
    except ValueError:
        raise ValueError(f"must be {_NOTE}") from None
    return pb.RouteNote(location=_point(_LATITUDES(latitude), _LONGITUDES(longitude)), message=message)
