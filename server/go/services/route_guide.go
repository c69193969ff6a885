package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	pb "calculator/proto/routeguide/routeguidepb"
	"calculator/server/domain"
)

const longestRoute = math.MaxInt32 // in meters

// routeGuide is the routeguide.RouteGuide of the basics tutorial.
type routeGuide struct {
	pb.UnimplementedRouteGuideServer
	features *domain.Features
	notes    *notes
}

func newRouteGuide(features *domain.Features) *routeGuide {
	return &routeGuide{features: features, notes: newNotes()}
}

func placeOf(point *pb.Point) domain.Place {
	return domain.Place{Latitude: point.GetLatitude(), Longitude: point.GetLongitude()}
}

func featureMessage(place domain.Place, name string) *pb.Feature {
	return &pb.Feature{Name: name, Location: &pb.Point{Latitude: place.Latitude, Longitude: place.Longitude}}
}

// GetFeature returns the feature at a point; its name is empty if there is no feature.
func (g *routeGuide) GetFeature(_ context.Context, point *pb.Point) (*pb.Feature, error) {
	place := placeOf(point)
	return featureMessage(place, g.features.Name(place)), nil
}

// ListFeatures sends the features in a rectangle.
func (g *routeGuide) ListFeatures(rectangle *pb.Rectangle, stream pb.RouteGuide_ListFeaturesServer) error {
	for feature := range g.features.Within(placeOf(rectangle.Lo), placeOf(rectangle.Hi)) {
		if err := stream.Send(featureMessage(feature.Place, feature.Name)); err != nil {
			return err
		}
	}
	return nil
}

// RecordRoute returns a summary of the route once the request stream has ended.
func (g *routeGuide) RecordRoute(stream pb.RouteGuide_RecordRouteServer) error {
	began, distance := time.Now(), 0.0
	summary := &pb.RouteSummary{}
	var last domain.Place
	for {
		point, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		place := placeOf(point)
		if summary.PointCount > 0 {
			distance += domain.Distance(last, place)
		}
		if g.features.Name(place) != "" {
			summary.FeatureCount++
		}
		summary.PointCount++
		last = place
	}
	if distance > longestRoute {
		return &domain.Error{
			Reason: domain.Overflow, Message: fmt.Sprintf("the route is longer than %d m", longestRoute),
		}
	}
	summary.Distance, summary.ElapsedTime = int32(distance), int32(time.Since(began).Seconds())
	return stream.SendAndClose(summary)
}

// RouteChat sends, for each note, the notes that were left at the same place before.
func (g *routeGuide) RouteChat(stream pb.RouteGuide_RouteChatServer) error {
	for {
		note, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		before, err := g.notes.exchange(note)
		if err != nil {
			return err
		}
		for _, each := range before {
			if err := stream.Send(each); err != nil {
				return err
			}
		}
	}
}
