// The commands of RouteGuide: route-guide feature, features, record, chat.

package main

import (
	"context"
	"fmt"
	"math"
	"regexp"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "calculator/proto/routeguide/routeguidepb"
)

const (
	unitsPerDegree = 10_000_000 // defined by the proto
	maxLatitude    = 90
	maxLongitude   = 180
)

func newRouteGuide(global *options) *cobra.Command {
	group := newGroup("route-guide", "Query features and routes. A place is a latitude and a longitude in degrees.")
	group.AddCommand(
		newCommand(global, "chat",
			`Leave a note for each input line, such as "40.7 -74 hello"; print earlier notes at the same place.`, chat),
		withOperands(newCommand(global, "feature LATITUDE LONGITUDE", "Print the feature at a place.", feature)),
		withOperands(newCommand(global, "features SOUTH WEST NORTH EAST", "Print the features in a rectangle.", features)),
		withOperands(newCommand(global, "record [LATITUDE LONGITUDE]...",
			"Print a summary of the route through the given places.", record)),
	)
	return group
}

// parsePoint parses a latitude and a longitude in degrees; names are those of the parameters.
func parsePoint(latitude, longitude string, names [2]string) (*pb.Point, error) {
	first, err := parseDegrees(latitude, maxLatitude)
	if err != nil {
		return nil, invalid(names[0], err)
	}
	second, err := parseDegrees(longitude, maxLongitude)
	if err != nil {
		return nil, invalid(names[1], err)
	}
	return &pb.Point{Latitude: first, Longitude: second}, nil
}

// parseDegrees parses degrees from -limit to limit, and returns them in the units of the proto.
func parseDegrees(text string, limit float64) (int32, error) {
	degrees, err := parseNumber(text)
	if err != nil {
		return 0, err
	}
	if !(math.Abs(degrees) <= limit) {
		return 0, fmt.Errorf("'%s' is not in the range -%g<=x<=%[2]g", text, limit)
	}
	return int32(math.RoundToEven(degrees * unitsPerDegree)), nil
}

func formatPoint(point *pb.Point) string {
	return fmt.Sprintf("%.7f %.7f",
		float64(point.GetLatitude())/unitsPerDegree, float64(point.GetLongitude())/unitsPerDegree)
}

func (c *caller) showFeature(found *pb.Feature) error {
	name := found.Name
	if name == "" {
		name = "(no feature)"
	}
	return c.show(found, fmt.Sprintf("%s  %s", formatPoint(found.Location), name))
}

func feature(ctx context.Context, caller *caller, words []string) error {
	point, err := parsePoint(words[0], words[1], [2]string{"LATITUDE", "LONGITUDE"})
	if err != nil {
		return err
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		found, err := pb.NewRouteGuideClient(channel).GetFeature(ctx, point)
		if err != nil {
			return err
		}
		return caller.showFeature(found)
	})
}

func features(ctx context.Context, caller *caller, words []string) error {
	southwest, err := parsePoint(words[0], words[1], [2]string{"SOUTH", "WEST"})
	if err != nil {
		return err
	}
	northeast, err := parsePoint(words[2], words[3], [2]string{"NORTH", "EAST"})
	if err != nil {
		return err
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		rectangle := &pb.Rectangle{Lo: southwest, Hi: northeast}
		stream, err := pb.NewRouteGuideClient(channel).ListFeatures(ctx, rectangle)
		if err != nil {
			return err
		}
		return showAll(stream.Recv, caller.showFeature)
	})
}

func record(ctx context.Context, caller *caller, words []string) error {
	const name = "LATITUDE LONGITUDE ..."
	if len(words)%2 != 0 {
		return invalid(name, fmt.Errorf("'%s' is a latitude without its longitude", words[len(words)-1]))
	}
	var points []*pb.Point
	for index := 0; index < len(words); index += 2 {
		point, err := parsePoint(words[index], words[index+1], [2]string{name, name})
		if err != nil {
			return err
		}
		points = append(points, point)
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		summary, err := recordRoute(ctx, channel, points)
		if err != nil {
			return err
		}
		return caller.show(summary, fmt.Sprintf("points    %d\nfeatures  %d\ndistance  %d m\ntime      %d s",
			summary.PointCount, summary.FeatureCount, summary.Distance, summary.ElapsedTime))
	})
}

func recordRoute(ctx context.Context, channel *grpc.ClientConn, points []*pb.Point) (*pb.RouteSummary, error) {
	stream, err := pb.NewRouteGuideClient(channel).RecordRoute(ctx)
	if err != nil {
		return nil, err
	}
	for _, point := range points {
		if stream.Send(point) != nil {
			break // receiving the response returns the reason
		}
	}
	return stream.CloseAndRecv()
}

func chat(ctx context.Context, caller *caller, _ []string) error {
	input := newStandardInput()
	return caller.withChannel(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := pb.NewRouteGuideClient(channel).RouteChat(ctx)
		if err != nil {
			return err
		}
		go func() {
			for note := range lines(input, parseNote) {
				if stream.Send(note) != nil {
					return // receiving the responses returns the reason
				}
			}
			_ = stream.CloseSend() // always nil
		}()
		err = showAll(stream.Recv, func(note *pb.RouteNote) error {
			return caller.show(note, fmt.Sprintf("%s  %s", formatPoint(note.Location), note.Message))
		})
		if err != nil {
			return err
		}
		return input.problem()
	})
}

var notePattern = regexp.MustCompile(`^(\S+)\s+(\S+)\s+(.+)$`)

// parseNote parses a line such as 40.7 -74 hello.
func parseNote(line string) (*pb.RouteNote, error) {
	words := notePattern.FindStringSubmatch(line)
	if words == nil {
		return nil, fmt.Errorf("must be a latitude (-%d to %[1]d), a longitude (-%d to %[2]d) and a message",
			maxLatitude, maxLongitude)
	}
	latitude, err := parseDegrees(words[1], maxLatitude)
	if err != nil {
		return nil, err
	}
	longitude, err := parseDegrees(words[2], maxLongitude)
	if err != nil {
		return nil, err
	}
	return &pb.RouteNote{Location: &pb.Point{Latitude: latitude, Longitude: longitude}, Message: words[3]}, nil
}
