// gRPC over TLS with certificates that may change while it runs.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "skein/config/v1/tls.pb.h"

namespace skein {

// Plain where TLS is not configured. gRPC looks at the files every second: new connections use what
// it finds, open ones go on. Files that do not go together let no new connection come about until
// they do; CertificateMonitor says so.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const config::v1::ServerTls& tls);
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const config::v1::ClientTls& tls);

// The name to expect in servers' certificates, where it is not the one in their address.
void SetServerName(const config::v1::ClientTls& tls, grpc::ChannelArguments& arguments);

}  // namespace skein
