/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Project by gRPC C++, to compare the daemon with: the asynchronous interface, one
 * completion queue, the daemon's kernel, packed straight into the reply's string.
 *
 *   grpc_peer
 *
 * Listens on a port of 127.0.0.1 that it chooses, prints it, and serves until it is ended. */
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>

#include "tests/bench/peer_pack.h"
#include "trit/v1/ternary.grpc.pb.h"

namespace {

constexpr int waiting_calls = 128;

using Service = trit::v1::Ternary::WithAsyncMethod_Project<trit::v1::Ternary::Service>;

class Call {
public:
    Call(Service *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), writer_(&context_)
    {
        service->RequestProject(&context_, &request_, &writer_, queue, queue, this);
    }

    /* The request has arrived, or the reply has left. */
    void proceed(bool ok)
    {
        if (answered_ || !ok) {
            delete this;
            return;
        }
        new Call(service_, queue_);
        answered_ = true;
        const std::string &in = request_.tensor().data();
        std::string *out = response_.mutable_data();
        out->resize(peer_packed_bytes(in.size()));
        peer_pack(in.data(), in.size(), out->data());
        response_.set_encoding(request_.options().encoding());
        response_.set_dtype(trit::v1::DTYPE_U8);
        response_.mutable_shape()->CopyFrom(request_.tensor().shape());
        writer_.Finish(response_, grpc::Status::OK, this);
    }

private:
    Service *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    trit::v1::ProjectRequest request_;
    trit::v1::ProjectResponse response_;
    grpc::ServerAsyncResponseWriter<trit::v1::ProjectResponse> writer_;
    bool answered_ = false;
};

} // namespace

int main()
{
    Service service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    builder.RegisterService(&service);
    std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server)
        return 1;
    printf("%d\n", port);
    fflush(stdout);
    for (int i = 0; i < waiting_calls; i++)
        new Call(&service, queue.get());
    void *tag;
    bool ok;
    while (queue->Next(&tag, &ok))
        static_cast<Call *>(tag)->proceed(ok);
}
