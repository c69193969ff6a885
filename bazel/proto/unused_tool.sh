#!/bin/sh
# Replaces tools of rules_proto_grpc that our plugins do not need, and fails if it is run.
echo "a protoc plugin needs rules_proto_grpc's fixer or merger, which this build omits; see bazel/proto/defs.bzl" >&2
exit 1
