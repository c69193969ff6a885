package domain

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
)

const (
	degree      = 10_000_000
	earthRadius = 6_371_000 // in meters
)

//go:embed route_guide_features.csv
var featuresFile string

// Place is a position in degrees times 10^7.
type Place struct {
	Latitude, Longitude int32
}

// Feature is a named place.
type Feature struct {
	Place
	Name string
}

// Features are all features of the tutorial.
type Features struct {
	inOrder []Feature
	names   map[Place]string
}

// ReadFeatures reads the file that is part of the program.
func ReadFeatures() (*Features, error) {
	rows, err := csv.NewReader(strings.NewReader(featuresFile)).ReadAll()
	if err != nil {
		return nil, err
	}
	features := &Features{names: map[Place]string{}}
	for _, row := range rows[1:] { // the first has the titles name, latitude and longitude
		latitude, err := scaled(row[1])
		if err != nil {
			return nil, err
		}
		longitude, err := scaled(row[2])
		if err != nil {
			return nil, err
		}
		place := Place{latitude, longitude}
		features.inOrder = append(features.inOrder, Feature{place, row[0]})
		features.names[place] = row[0]
	}
	return features, nil
}

func scaled(degrees string) (int32, error) {
	value, err := strconv.ParseFloat(degrees, 64)
	if err != nil {
		return 0, fmt.Errorf("a position of a feature is not a number: %w", err)
	}
	return int32(math.RoundToEven(value * degree)), nil
}

// Name returns the name of the feature at a place, or "" if there is none.
func (f *Features) Name(place Place) string {
	return f.names[place]
}

// Within iterates over the features of a rectangle, including its edges, given by any two opposite corners.
func (f *Features) Within(corner, opposite Place) iter.Seq[Feature] {
	return func(yield func(Feature) bool) {
		for _, feature := range f.inOrder {
			isInside := isBetween(feature.Latitude, corner.Latitude, opposite.Latitude) &&
				isBetween(feature.Longitude, corner.Longitude, opposite.Longitude)
			if isInside && !yield(feature) {
				return
			}
		}
	}
}

func isBetween(value, end, other int32) bool {
	return min(end, other) <= value && value <= max(end, other)
}

// Distance returns the distance between places on a sphere, in meters:
// https://en.wikipedia.org/wiki/Haversine_formula.
func Distance(first, second Place) float64 {
	from, to := radians(float64(first.Latitude)), radians(float64(second.Latitude))
	east := radians(float64(second.Longitude) - float64(first.Longitude))
	squaredHalfChord := haversine(to-from) + math.Cos(from)*math.Cos(to)*haversine(east)
	return 2 * earthRadius * math.Asin(min(1, math.Sqrt(squaredHalfChord)))
}

func radians(scaled float64) float64 {
	return scaled / degree * (math.Pi / 180)
}

func haversine(angle float64) float64 {
	return math.Pow(math.Sin(angle/2), 2)
}
