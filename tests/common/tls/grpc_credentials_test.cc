#include "common/tls/grpc_credentials.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "tests/common/tls/certificate_files.h"

namespace skein {
namespace {

class GrpcCredentialsTest : public testing::Test {
 protected:
  GrpcCredentialsTest() {
    files_.Install("server", authority_.Issue({.name = "worker"}));
    files_.Install("client", authority_.Issue({.name = "gateway", .hosts = ""}));
    files_.Write("ca", authority_.certificate());
    server_tls_.set_certificate(files_.Path("server.pem"));
    server_tls_.set_key(files_.Path("server.key"));
    server_tls_.set_client_ca(files_.Path("ca"));
    client_tls_.set_ca(files_.Path("ca"));
    client_tls_.set_certificate(files_.Path("client.pem"));
    client_tls_.set_key(files_.Path("client.key"));
  }

  void StartServer() {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&service_);
    builder.AddListeningPort("127.0.0.1:0", MakeServerCredentials(server_tls_), &port_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  std::shared_ptr<grpc::Channel> NewChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    if (!client_tls_.server_name().empty()) {
      arguments.SetSslTargetNameOverride(client_tls_.server_name());
    }
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port_),
                                     MakeChannelCredentials(client_tls_), arguments);
  }
  static bool Connects(grpc::Channel& channel, int milliseconds) {
    return channel.WaitForConnected(std::chrono::system_clock::now() +
                                    std::chrono::milliseconds(milliseconds));
  }
  bool Connects() { return Connects(*NewChannel(), 5000); }
  bool StaysOutside() { return !Connects(*NewChannel(), 400); }

  const CertificateFiles files_;
  const TestAuthority authority_;
  const TestAuthority other_{"other"};
  config::v1::ServerTls server_tls_;
  config::v1::ClientTls client_tls_;
  grpc::CallbackGenericService service_;  // refuses every call: connecting is enough
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GrpcCredentialsTest, BothSidesShowWhoTheyAre) {
  StartServer();
  EXPECT_TRUE(Connects());
  client_tls_.clear_certificate();
  client_tls_.clear_key();
  EXPECT_TRUE(StaysOutside()) << "without a certificate";
  client_tls_.Clear();
  EXPECT_TRUE(StaysOutside()) << "without TLS";
}

TEST_F(GrpcCredentialsTest, ClientsOfAnotherAuthorityOrThePastStayOutside) {
  StartServer();
  files_.Install("client", other_.Issue());
  EXPECT_TRUE(StaysOutside());
  files_.Install("client", authority_.Issue({.end = absl::Now() - absl::Minutes(5)}));
  EXPECT_TRUE(StaysOutside());
}

TEST_F(GrpcCredentialsTest, ServersMustBeWhoTheyShouldBe) {
  server_tls_.clear_client_ca();
  StartServer();
  client_tls_.clear_certificate();
  client_tls_.clear_key();
  EXPECT_TRUE(Connects());  // TLS on one side
  client_tls_.set_server_name("localhost");
  EXPECT_TRUE(Connects());
  client_tls_.set_server_name("elsewhere");
  EXPECT_TRUE(StaysOutside());
  client_tls_.clear_server_name();
  client_tls_.set_ca(files_.Write("other", other_.certificate()));
  EXPECT_TRUE(StaysOutside());
}

TEST_F(GrpcCredentialsTest, AServerIsReachedWithItsOwnConfiguration) {
  StartServer();
  const auto reaches = [this](const config::v1::ServerTls& tls, int milliseconds) {
    return Connects(
        *grpc::CreateChannel(absl::StrCat("localhost:", port_), MakeOwnChannelCredentials(tls)),
        milliseconds);
  };
  EXPECT_TRUE(reaches(server_tls_, 5000));
  config::v1::ServerTls stranger = server_tls_;
  files_.Install("stranger", other_.Issue());
  stranger.set_certificate(files_.Path("stranger.pem"));
  stranger.set_key(files_.Path("stranger.key"));
  EXPECT_FALSE(reaches(stranger, 400));
  EXPECT_FALSE(reaches({}, 400));
}

TEST_F(GrpcCredentialsTest, CertificatesAreRotatedUnderOpenChannels) {
  StartServer();
  const std::shared_ptr<grpc::Channel> open = NewChannel();
  ASSERT_TRUE(Connects(*open, 5000));
  // First both sides trust both authorities, then each moves to the new one.
  files_.Write("ca", authority_.certificate() + other_.certificate());
  absl::SleepFor(absl::Milliseconds(1500));
  files_.Install("server", other_.Issue());
  files_.Install("client", other_.Issue());
  absl::SleepFor(absl::Milliseconds(1500));
  files_.Write("ca", other_.certificate());
  absl::SleepFor(absl::Milliseconds(1500));
  EXPECT_TRUE(Connects(*NewChannel(), 5000));
  EXPECT_EQ(open->GetState(false), GRPC_CHANNEL_READY);
}

TEST_F(GrpcCredentialsTest, AServerRecoversFromAPairThatDoesNotFit) {
  StartServer();
  const TestCertificate next = authority_.Issue();
  files_.Write("server.pem", next.certificate);
  absl::SleepFor(absl::Milliseconds(1500));
  EXPECT_TRUE(StaysOutside());
  files_.Write("server.key", next.key);
  EXPECT_TRUE(Connects());
}

}  // namespace
}  // namespace skein
