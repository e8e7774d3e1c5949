// gRPC over TLS with certificates that may change while it runs.
#pragma once

#include <memory>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include "skein/config/v1/tls.pb.h"

namespace skein {

// Plain where TLS is not configured. gRPC looks at the files every second: new connections use what
// it finds, open ones go on. Files that do not go together let no new connection come about until
// they do; CertificateMonitor says so.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const config::v1::ServerTls& tls);
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const config::v1::ClientTls& tls);

// For asking a server of this machine after its health, with its own configuration: shows the
// server's certificate as the client's, and does not verify what the server shows.
std::shared_ptr<grpc::ChannelCredentials> MakeOwnChannelCredentials(
    const config::v1::ServerTls& tls);

}  // namespace skein
