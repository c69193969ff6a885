#!/bin/sh
# Stands where rules_proto_grpc wants a tool that our plugins never need, and fails if it is run after all.
echo "a protoc plugin asked for rules_proto_grpc's fixer or merger; see bazel/proto/defs.bzl" >&2
exit 1
