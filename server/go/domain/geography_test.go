package domain

import (
	"math"
	"slices"
	"testing"
)

func features(t *testing.T) *Features {
	t.Helper()
	features, err := ReadFeatures()
	if err != nil {
		t.Fatal(err)
	}
	return features
}

func TestFeaturesIncludeThoseOfTheTutorial(t *testing.T) {
	want := "Patriots Path, Mendham, NJ 07945, USA"
	if name := features(t).Name(Place{407838351, -746143763}); name != want {
		t.Errorf("the name is %q; want %s", name, want)
	}
	if name := features(t).Name(Place{407178000, -740431000}); name != "Jersey City, New Jersey" {
		t.Errorf("the name is %q; want Jersey City, whose longitude is not exact in floating point", name)
	}
	if name := features(t).Name(Place{0, 0}); name != "" {
		t.Errorf("a place without a feature has the name %s", name)
	}
}

func TestARectangleHasTheFeaturesBetweenAnyTwoOppositeCorners(t *testing.T) {
	all := features(t)
	check(t, func(one, other Place) bool {
		for feature := range all.Within(one, other) {
			if !isBetween(feature.Latitude, one.Latitude, other.Latitude) ||
				!isBetween(feature.Longitude, one.Longitude, other.Longitude) {
				return false
			}
		}
		return slices.Equal(slices.Collect(all.Within(one, other)), slices.Collect(all.Within(other, one)))
	})
	for _, feature := range all.inOrder {
		if found := slices.Collect(all.Within(feature.Place, feature.Place)); !slices.Contains(found, feature) {
			t.Errorf("%v is not within its own place", feature)
		}
	}
}

func TestDistancesAreSymmetricAndAtMostHalfTheCircumference(t *testing.T) {
	check(t, func(one, other Place) bool {
		one.Latitude, other.Latitude = one.Latitude%(90*degree), other.Latitude%(90*degree)
		there, back := Distance(one, other), Distance(other, one)
		return math.Abs(there-back) < 1 && 0 <= there && there <= 20_015_087 && Distance(one, one) == 0
	})
}

func TestADegreeIsAbout111KilometersAndHalfOfItNearThePole(t *testing.T) {
	if got := Distance(Place{0, 0}, Place{degree, 0}); math.Abs(got-111_195) > 1 {
		t.Errorf("a degree of latitude has %v m", got)
	}
	if got := Distance(Place{60 * degree, 0}, Place{60 * degree, degree}); math.Abs(got-111_195/2) > 60 {
		t.Errorf("a degree of longitude has %v m", got)
	}
}
