// What gRPC itself can do: a server in C++ with callbacks, for unary calls.

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "calculator.grpc.pb.h"

namespace {

using calculator::v1::CalculateRequest;
using calculator::v1::CalculateResponse;

class Calculator final : public calculator::v1::Calculator::CallbackService {
  grpc::ServerUnaryReactor* Calculate(grpc::CallbackServerContext* context, const CalculateRequest* request,
                                      CalculateResponse* response) override {
    auto* reactor = context->DefaultReactor();
    if (request->operation() == calculator::v1::OPERATION_MULTIPLY) {
      response->set_result(request->first_operand() * request->second_operand());
      reactor->Finish(grpc::Status::OK);
    } else {
      reactor->Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "it multiplies, for the benchmark"));
    }
    return reactor;
  }
};

}  // namespace

int main() {
  Calculator service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  std::cerr << "Listening on 127.0.0.1:" << port << std::endl;
  server->Wait();
}
