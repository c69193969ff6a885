package proto

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"calculator/bazel/proto/testdata/eventpb"
)

func TestAMessageWithAnImportedTypeIsSerialized(t *testing.T) {
	wire, err := proto.Marshal(&eventpb.Event{Time: &timestamppb.Timestamp{Seconds: 7}})
	if err != nil || string(wire) != "\x0a\x02\x08\x07" {
		t.Errorf("the message is serialized as %q, error %v", wire, err)
	}
}

func TestAStubHasTheFullNameOfItsProto(t *testing.T) {
	if name := (&eventpb.Event{}).ProtoReflect().Descriptor().FullName(); name != "testdata.Event" {
		t.Errorf("the name is %s", name)
	}
}
