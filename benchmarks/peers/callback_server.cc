// A gRPC server in C++ with the callback API, for unary calls: it shows what gRPC core can do.

#include <grpcpp/generic/async_generic_service.h>
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
      reactor->Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "this benchmark server only multiplies"));
    }
    return reactor;
  }
};

// Sends the bytes of a request back, for any method.
class EchoReactor final : public grpc::ServerGenericBidiReactor {
 public:
  EchoReactor() { StartRead(&message_); }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "this benchmark server requires one message per call"));
    }
  }
  void OnDone() override { delete this; }

  grpc::ByteBuffer message_;
};

class Echo final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new EchoReactor;
  }
};

}  // namespace

int main() {
  Calculator calculator;
  Echo echo;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&calculator);
  builder.RegisterCallbackGenericService(&echo);
  const auto server = builder.BuildAndStart();
  std::cerr << "Listening on 127.0.0.1:" << port << std::endl;
  server->Wait();
}
